"""How close is close enough: the tolerance rules of the fixtures, and one number that tells.

Every rule gives an error normalised by what is allowed, so 1 is the border and a fixture's line shows its worst.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lsm_core.errors import UnsupportedError

TABLE_ELEMENTWISE = 2e-3
ELEMENTWISE_PATTERN = re.compile(r"at least ([\d.]+) % of elements: \|a-b\| <= ([\d.e-]+)\*\|b\|")


@dataclass(frozen=True)
class Tolerance:
    """What is allowed between an answer b and our a; parts that are None do not apply.

    Attributes:
        atol, rtol: for every element |a - b| <= atol + rtol * |b|.
        limit: max|a - b| / max|b|.
        limit_abs: max|a - b|.
        element: with `fraction`, |a - b| <= element * (|b| + median|b|) ...
        fraction: ... for at least this share of elements.
        element_fraction: share of elements that must satisfy atol and rtol.
    """

    atol: float | None = None
    rtol: float | None = None
    limit: float | None = None
    limit_abs: float | None = None
    element: float | None = None
    fraction: float | None = None
    element_fraction: float = 1.0

    def error(self, ours: Tensor, answer: Tensor) -> float:
        """Return the error over what is allowed: at most 1 passes. Infinite for wrong shapes or stray NaN.

        Integers and bools must be equal, unless the rule limits the absolute error.
        """
        if ours.shape != answer.shape:
            return math.inf
        if answer.numel() == 0:
            return 0.0
        if not answer.is_floating_point() and self.limit_abs is None:
            return 0.0 if torch.equal(ours.to(answer), answer) else math.inf
        a, b = ours.detach().cpu().double(), answer.cpu().double()
        same_infinity = torch.isinf(b) & (a == b)
        both_nan = torch.isnan(a) & torch.isnan(b)
        difference = torch.where(same_infinity | both_nan, torch.zeros_like(a), (a - b).abs())
        if bool(difference.isnan().any()) or bool(difference.isinf().any()):
            return math.inf
        return max(self._parts(difference, b.abs().nan_to_num(posinf=0.0)))

    def _parts(self, difference: Tensor, size: Tensor) -> list[float]:
        """Return the normalised error of each rule that applies."""
        parts = [0.0]
        if self.atol is not None or self.rtol is not None:
            allowed = (self.atol or 0.0) + (self.rtol or 0.0) * size
            ratio = torch.where(difference == 0, torch.zeros_like(size), difference / allowed)
            parts.append(_at_share(ratio, self.element_fraction))
        if self.limit is not None:
            largest = float(size.max())
            parts.append(_ratio(float(difference.max()), self.limit * largest))
        if self.limit_abs is not None:
            parts.append(_ratio(float(difference.max()), self.limit_abs))
        if self.element is not None and self.fraction is not None:
            allowed = self.element * (size + size.median())
            ratio = torch.where(difference == 0, torch.zeros_like(size), difference / allowed)
            parts.append(_at_share(ratio, self.fraction))
        return parts


def tolerance_of(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the rule that a fixture's JSON states for a tensor.

    `tolerance_table` beats `tolerance_overrides`, which beats `tolerance`.

    Raises:
        UnsupportedError: the JSON states no rule that is known here.
    """
    table = spec.get("tolerance_table", {}).get(tensor)
    if table is not None:
        if table.get("compare"):
            raise UnsupportedError(f"No comparison named '{table['compare']}' is implemented for '{tensor}'.")
        fraction = table.get("fraction")
        element = None if fraction is None else TABLE_ELEMENTWISE
        return Tolerance(limit=table["limit"], element=element, fraction=fraction)
    stated = spec.get("tolerance")
    if not isinstance(stated, Mapping):
        raise UnsupportedError(f"The tolerance {stated!r} is not a rule that is implemented.")
    override = spec.get("tolerance_overrides", {}).get(tensor)
    if "limit" in stated:
        limit = float(override if override is not None else stated["limit"])
        element, fraction = _elementwise(stated, limit / float(stated["limit"]))
        return Tolerance(limit=limit, element=element, fraction=fraction)
    if "atol" in stated or "rtol" in stated:
        share = float(stated.get("fraction_of_pixels", 1.0))
        return Tolerance(atol=stated.get("atol"), rtol=stated.get("rtol"), element_fraction=share)
    raise UnsupportedError(f"The tolerance {dict(stated)!r} is not a rule that is implemented.")


def _elementwise(stated: Mapping[str, Any], loosened: float) -> tuple[float | None, float | None]:
    """Return (element, fraction) of the sentence that states the elementwise rule, loosened with an override."""
    match = ELEMENTWISE_PATTERN.search(str(stated.get("elementwise", "")))
    if match is None:
        return None, None
    return float(match.group(2)) * loosened, float(match.group(1)) / 100


def _at_share(ratio: Tensor, share: float) -> float:
    """Return the ratio that `share` of the elements stay at or below."""
    ordered = ratio.flatten().nan_to_num(nan=math.inf, posinf=math.inf).sort().values
    index = math.ceil(share * len(ordered) - 1e-9) - 1
    return float(ordered[max(index, 0)])


def _ratio(error: float, allowed: float) -> float:
    """Return error / allowed, with 0 / 0 = 0."""
    if error == 0:
        return 0.0
    return error / allowed if allowed > 0 else math.inf
