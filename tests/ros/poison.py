"""Numbers that are not finite, in any part of what a model answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor

from lsm_core.types import Prediction

Poisoner = Callable[[Prediction, float], Prediction]


def poisoned(prediction: Prediction, part: str, value: float) -> Prediction:
    """Return a prediction with one number of a part (a key of PARTS) replaced by NaN or infinity."""
    return PARTS[part](prediction, value)


def _spoiled(tensor: Tensor, value: float) -> Tensor:
    """Return a copy with a number in the middle replaced."""
    out = tensor.clone()
    out.view(-1)[out.numel() // 2] = value
    return out


def _in_view(name: str, view: int) -> Poisoner:
    def change(prediction: Prediction, value: float) -> Prediction:
        tensors = list(getattr(prediction, name))
        tensors[view] = _spoiled(tensors[view], value)
        changed: dict[str, Any] = {name: tensors}
        return replace(prediction, **changed)

    return change


def _in_gaussians(name: str) -> Poisoner:
    def change(prediction: Prediction, value: float) -> Prediction:
        assert prediction.gaussians is not None
        changed: dict[str, Any] = {name: _spoiled(getattr(prediction.gaussians, name), value)}
        return replace(prediction, gaussians=replace(prediction.gaussians, **changed))

    return change


def _in_stats(name: str) -> Poisoner:
    return lambda prediction, value: replace(prediction, stats={**prediction.stats, name: value})


PARTS: dict[str, Poisoner] = {
    "pointmap 0": _in_view("pointmaps", 0),
    "pointmap 1": _in_view("pointmaps", 1),
    "confidence": _in_view("confidence", 1),
    "pose": _in_view("poses", 1),
    "features": _in_view("features", 1),
    "intrinsics": _in_view("intrinsics", 1),
    "grid_to_image": _in_view("grid_to_image", 1),
    "Gaussian means": _in_gaussians("means"),
    "Gaussian quats": _in_gaussians("quats"),
    "Gaussian scales": _in_gaussians("scales"),
    "Gaussian opacities": _in_gaussians("opacities"),
    "Gaussian sh": _in_gaussians("sh"),
    "validity": lambda prediction, value: replace(prediction, validity=value),
    "inliers": _in_stats("inliers"),
}
