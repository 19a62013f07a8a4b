"""Put a checkpoint's tensors into a module, strictly: every key is used, known to be unused, or an error."""

from __future__ import annotations

from collections.abc import Mapping
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
    _check_aliases(state, rules, source)
    wanted = module.state_dict()
    unused = {k for k in state if k not in wanted and (k in rules.aliases or k.startswith(rules.unused))}
    missing = [k for k in wanted if k not in state]
    required = [k for k in missing if not k.startswith(rules.optional)] if rules.optional else missing
    unknown = [k for k in state if k not in wanted and k not in unused]
    if required or unknown:
        raise WeightsError(
            f"{source} does not fit: {_listed('missing', required)}{_listed('unknown', unknown)}".rstrip("; ")
            + ".",
            "Check that it is the checkpoint of this model.",
        )
    for key, tensor in wanted.items():
        if key in state and state[key].shape != tensor.shape:
            raise WeightsError(
                f"{source}: '{key}' has shape {list(state[key].shape)}, not {list(tensor.shape)}.",
                "Check that it is the checkpoint of this model and size.",
            )
    module.load_state_dict({k: state[k] for k in wanted if k in state}, strict=False)
    return LoadReport(tuple(k for k in wanted if k in state), tuple(sorted(unused)), tuple(missing))


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


def _listed(word: str, keys: list[str]) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return f"{word} {', '.join(keys[:SHOWN])}{more}; "
