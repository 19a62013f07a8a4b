"""Put a checkpoint's tensors into a module, strictly: every key is used, known to be unused, or an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lsm_core.errors import WeightsError

SHOWN = 5  # keys named in an error


@dataclass(frozen=True)
class KeyRules:
    """What is known of a checkpoint's keys beside those of the module.

    Attributes:
        aliases: key -> key that holds the same tensor; checked to be equal, then left out.
        unused: prefixes of keys that the released model stores and never uses.
        optional: prefixes of module keys that a checkpoint may lack.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadReport:
    """What became of the keys: used by the module, left out on purpose, kept at the module's own value."""

    used: tuple[str, ...]
    unused: tuple[str, ...]
    missing: tuple[str, ...]


def load_strict(
    module: nn.Module, state: Mapping[str, Tensor], rules: KeyRules | None = None, source: str = "the checkpoint"
) -> LoadReport:
    """Load tensors into a module; nothing is changed when it fails.

    Args:
        module: its keys are those of the checkpoint.
        state: tensors by key.
        rules: which keys need no place.
        source: the file, for messages.

    Raises:
        WeightsError: a key is missing or unknown, a shape differs, or two aliases are not equal.
    """
    rules = rules or KeyRules()
    found = check_fit(module, state, rules, source)
    _check_aliases(state, rules, source)
    wanted = module.state_dict()
    # Copies: the file may be mapped into memory, and must not be needed once it is read. A module on the meta
    # device gets its tensors here, without having been filled with random numbers before.
    values = {k: state[k].to(t.dtype, copy=True) for k, t in wanted.items() if k in state}
    module.load_state_dict(values, strict=False, assign=True)
    return LoadReport(tuple(k for k in wanted if k in state), found.unused, found.absent)


def check_fit(
    module: nn.Module, state: Mapping[str, Tensor], rules: KeyRules | None = None, source: str = "the checkpoint"
) -> Differences:
    """Return what `differences` finds of tensors that can be loaded; no tensor is read.

    Raises:
        WeightsError: a key is missing or unknown, or a shape differs.
    """
    found = differences(module, state, rules)
    if not found.fits:
        raise WeightsError(
            f"{source} does not fit: {found}.",
            "Check that it is the checkpoint of this model (lsm weights verify FILE).",
        )
    return found


@dataclass(frozen=True)
class Differences:
    """How a checkpoint differs from a module.

    Attributes:
        missing, unknown: keys that one has and the other needs.
        shapes: key -> (shape in the checkpoint, shape in the module).
        unused: keys that need no place; absent: module keys that the checkpoint may lack and does.
    """

    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    shapes: Mapping[str, tuple[list[int], list[int]]]
    unused: tuple[str, ...]
    absent: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the checkpoint can be loaded."""
        return not (self.missing or self.unknown or self.shapes)

    def __str__(self) -> str:
        shapes = [f"'{k}' has shape {a}, not {b}" for k, (a, b) in self.shapes.items()]
        parts = (_listed("missing ", self.missing), _listed("unknown ", self.unknown), _listed("", shapes))
        return "; ".join(part for part in parts if part)


def differences(module: nn.Module, state: Mapping[str, Tensor], rules: KeyRules | None = None) -> Differences:
    """Compare a checkpoint's keys and shapes with a module's, which may be on the meta device."""
    rules = rules or KeyRules()
    wanted = module.state_dict()
    unused = {k for k in state if k not in wanted and (k in rules.aliases or k.startswith(rules.unused))}
    absent = [k for k in wanted if k not in state]
    shapes = {
        k: (list(state[k].shape), list(t.shape))
        for k, t in wanted.items()
        if k in state and state[k].shape != t.shape
    }
    return Differences(
        tuple(k for k in absent if not (rules.optional and k.startswith(rules.optional))),
        tuple(k for k in state if k not in wanted and k not in unused),
        shapes,
        tuple(sorted(unused)),
        tuple(absent),
    )


def completed(state: Mapping[str, Tensor], rules: KeyRules) -> dict[str, Tensor]:
    """Return tensors with those added that a file holds under their second name only."""
    more = {key: state[alias] for alias, key in rules.aliases.items() if alias in state and key not in state}
    return dict(state) | more


def renamed(state: Mapping[str, Tensor], prefixes: Mapping[str, str]) -> dict[str, Tensor]:
    """Return tensors under other keys: the longest prefix in the table that fits is replaced; others stay."""
    ordered = sorted(prefixes, key=len, reverse=True)
    out: dict[str, Tensor] = {}
    for key, tensor in state.items():
        prefix = next((p for p in ordered if key.startswith(p)), None)
        out[key if prefix is None else prefixes[prefix] + key[len(prefix) :]] = tensor
    return out


def _check_aliases(state: Mapping[str, Tensor], rules: KeyRules, source: str) -> None:
    for alias, key in rules.aliases.items():
        if alias in state and key in state and not torch.equal(state[alias], state[key]):
            raise WeightsError(
                f"{source}: '{alias}' and '{key}' must be the same tensor and are not.",
                "The file is damaged or was written by another program: fetch it again.",
            )


def _listed(word: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return f"{word}{', '.join(items[:SHOWN])}{more}"
