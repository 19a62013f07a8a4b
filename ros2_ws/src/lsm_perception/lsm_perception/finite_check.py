"""Are the model's numbers finite? One that is not must never reach a topic, the map or the scale."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from lsm_core.types import Gaussians, Prediction, ViewFeatures

NON_FINITE_FIX = "Fix: check the weights (lsm weights verify), or take another device."
# Figures that the pose gate and ~/pair_pose count with; others may be NaN for "unknown".
COUNTED_STATS = ("inliers", "matches")


def non_finite_features(features: ViewFeatures) -> str | None:
    """Return which tensor of an encoded view holds NaN or infinity, None when all are finite."""
    return _first_bad((f"encoded {name}", tensor) for name, tensor in features.tensors.items())


def non_finite_prediction(prediction: Prediction) -> str | None:
    """Return which part of a prediction holds NaN or infinity, None when all are finite.

    A view without a valid pose may have no place in space: its pose and points are not looked at, because its pair
    is rejected and only its masks are used.
    """
    if not math.isfinite(prediction.validity):
        return "validity"
    for name in COUNTED_STATS:
        if not math.isfinite(prediction.stats.get(name, 0.0)):
            return name
    return _first_bad(_tensors(prediction))


def _tensors(prediction: Prediction) -> Iterator[tuple[str, Tensor]]:
    """Yield name and tensor of all that is used of a prediction."""
    for view in range(prediction.views):
        yield f"confidence {view}", prediction.confidence[view]
        yield f"intrinsics {view}", prediction.intrinsics[view]
        yield f"grid_to_image {view}", prediction.grid_to_image[view]
        if prediction.features is not None:
            yield f"features {view}", prediction.features[view]
        if view == 0 or prediction.pose_valid[view]:
            yield f"pointmap {view}", prediction.pointmaps[view]
            yield f"pose {view}", prediction.poses[view]
    if prediction.gaussians is not None and all(prediction.pose_valid):
        yield from _gaussian_tensors(prediction.gaussians)


def _gaussian_tensors(gaussians: Gaussians) -> Iterator[tuple[str, Tensor]]:
    for name in ("means", "quats", "scales", "opacities", "sh", "features"):
        tensor = getattr(gaussians, name)
        if tensor is not None:
            yield f"Gaussian {name}", tensor


def _first_bad(tensors: Iterator[tuple[str, Tensor]]) -> str | None:
    for name, tensor in tensors:
        if tensor.is_floating_point() and not _all_finite(tensor):
            return name
    return None


def _all_finite(tensor: Tensor) -> bool:
    """Whether all numbers are finite. One that is not spoils the sum, which is many times faster to look at."""
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())
