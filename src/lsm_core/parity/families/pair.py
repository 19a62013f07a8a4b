"""Family `pair_viewer`: cameras of a pair from the pointmaps of both orders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.geometry.pair_cameras import OrderedPrediction, pair_cameras
from lsm_core.parity.families.clip import EXACT
from lsm_core.parity.fixture import Fixture
from lsm_core.parity.registry import Family
from lsm_core.parity.tolerance import Tolerance


def answer(fixture: Fixture, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Recover focal lengths, poses, depths and masks."""
    orders = [
        OrderedPrediction(*(inputs[f"{name}_{order}"] for name in ("pred_i", "ci", "pred_j", "cj")))
        for order in ("01", "10")
    ]
    found = pair_cameras(orders)
    return {
        "im_poses": torch.stack(found.poses),
        "intrinsics": found.intrinsics,
        "focals": found.focals,
        **{f"depth{i}": found.depths[i] for i in (0, 1)},
        **{f"mask{i}": found.masks[i] for i in (0, 1)},
    }


def is_answer(name: str) -> bool:
    """Tell answers from predictions and the truth they were made with."""
    return not name.startswith(("pred_", "ci_", "cj_", "true_"))


def tolerance(spec: Mapping[str, Any], tensor: str) -> Tolerance:
    """Return the rule for focal lengths or poses; depths are as good as the poses."""
    stated = spec["tolerance"]
    if tensor.startswith("mask"):
        return EXACT
    if tensor in ("focals", "intrinsics"):
        return Tolerance(rtol=stated["focals"]["rtol"])
    return Tolerance(atol=stated["poses"]["atol"])


FAMILIES = (Family("pair_viewer", answer, is_answer, tolerance=tolerance),)
