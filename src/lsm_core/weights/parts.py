"""Several modules filled from one or more checkpoints, or none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from lsm_core.weights.strict import KeyRules, check_fit, load_strict


@dataclass(frozen=True, eq=False)
class Part:
    """A module without values, and the tensors that are to fill it.

    Attributes:
        module: on the meta device.
        state: tensors by the module's keys.
        source: the file, for messages.
        rules: which keys need no place.
    """

    module: nn.Module
    state: Mapping[str, Tensor]
    source: str
    rules: KeyRules = field(default_factory=KeyRules)


def load_parts(parts: Sequence[Part]) -> None:
    """Fill modules; names and shapes are compared for all of them before a tensor of any is read.

    Raises:
        WeightsError: a key or shape does not fit.
    """
    for part in parts:
        check_fit(part.module, part.state, part.rules, part.source)
    for part in parts:
        load_strict(part.module, part.state, part.rules, part.source)
