"""Which fixtures this implementation can answer: one entry per family."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lsm_core.errors import UnsupportedError
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.tolerance import Tolerance, tolerance_of

Answer = Callable[[Fixture, Mapping[str, Tensor]], dict[str, Tensor]]
IsAnswer = Callable[[str], bool]
ToleranceOf = Callable[[Mapping[str, Any], str], Tolerance]
Stated = Callable[[Mapping[str, Any]], dict[str, Tensor]]
Tensors = Mapping[str, Tensor]
Prepared = Callable[[Mapping[str, Any], Tensors, Tensors, Tensors], tuple[Tensors, Tensors]]
Counted = Callable[[Mapping[str, Any], str, Mapping[str, Tensor]], Tensor | None]


def prefixed_answer(tensor: str) -> bool:
    """Tell whether a tensor is an answer in the dialect with `in.`, `mid.` and `out.` prefixes."""
    return tensor.startswith(("out.", "mid."))


@dataclass(frozen=True)
class Family:
    """How one kind of fixture is answered.

    Attributes:
        key: the fixture's `kind`, or its name (or the start of it, up to an underscore) where it states none.
        answer: (fixture, inputs) -> our tensors, named like the answers. Answers are not among the inputs.
        is_answer: which recorded tensors are answers.
        optional: which answers may be left out (intermediates).
        tolerance: the rule per tensor; by default what the JSON states.
        stated: answers that the JSON itself holds.
        counted: (spec, tensor, answers) -> bool mask of the elements that are compared, None for all.
        prepared: (spec, inputs, ours, answers) -> ours and answers as they are compared, where that is not as such.
        on_device: whether it can be answered on a GPU; what is computed on the CPU anyway is not.
    """

    key: str
    answer: Answer
    is_answer: IsAnswer = prefixed_answer
    optional: IsAnswer = field(default=lambda tensor: tensor.startswith("mid."))
    tolerance: ToleranceOf = tolerance_of
    stated: Stated = field(default=lambda spec: {})
    counted: Counted = field(default=lambda spec, tensor, answers: None)
    prepared: Prepared = field(default=lambda spec, inputs, ours, answers: (ours, answers))
    on_device: bool = False


_FAMILIES: dict[str, Family] = {}


def register_family(family: Family) -> None:
    """Add a family; a later one with the same key replaces the first."""
    _FAMILIES[family.key] = family


def family_keys() -> tuple[str, ...]:
    """Return the keys that can be answered, sorted."""
    return tuple(sorted(_FAMILIES))


def family_of(fixture: Fixture) -> Family:
    """Find the family of a fixture: by kind, else by name, else by the longest start of the name.

    Raises:
        UnsupportedError: no family answers it.
    """
    if fixture.kind is not None:
        keys = [fixture.kind]
    else:
        words = fixture.name.split("_")
        keys = ["_".join(words[:count]) for count in range(len(words), 0, -1)]
    for key in keys:
        if key in _FAMILIES:
            return _FAMILIES[key]
    raise UnsupportedError(f"No family answers fixtures of kind '{fixture.kind or fixture.name}' yet.")
