"""Family `focal`: focal length from a pointmap."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from lsm_core.geometry.focal import focal_from_pointmap
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance

CLIP_RATIOS = (0.5, 1.2)  # where the notes say no other
STATED_RATIOS = re.compile(r"here ([\d.]+)\.\.([\d.]*\d)")
ANSWER = re.compile(r"\.(weiszfeld|median|weiszfeld_clipped)$")


def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Estimate each case's focal lengths in the three ways recorded."""
    out = {}
    stated = STATED_RATIOS.search(str(fixture.spec.get("notes", "")))
    ratios = (float(stated[1]), float(stated[2])) if stated else CLIP_RATIOS
    for case in fixture.spec["cases"]:
        prefix = case["prefix"]
        points, pp = inputs[f"{prefix}pts3d"], inputs[f"{prefix}pp"]
        out[f"{prefix}weiszfeld"] = focal_from_pointmap(points, pp)
        out[f"{prefix}median"] = focal_from_pointmap(points, pp, "median")
        out[f"{prefix}weiszfeld_clipped"] = focal_from_pointmap(points, pp, ratio_range=ratios)
    return out


def tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the loose tolerance for cases with gross outliers (points near z = 0), the tight one otherwise."""
    case = next(case for case in spec["cases"] if tensor.startswith(case["prefix"]))
    stated = spec["tolerance"]
    if case.get("outliers", 0) > 0 and "ill_conditioned_rtol" in stated:
        return Tolerance(rtol=stated["ill_conditioned_rtol"])
    return Tolerance(rtol=stated["rtol"])


FAMILIES = (Family("focal", answer, is_answer=lambda name: bool(ANSWER.search(name)), tolerance=tolerance),)
