"""The coarse pose of a view: PnP-RANSAC on the centres of its pixels' Gaussians (NoPoSplat, section 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry.pnp import PnpOptions, PnpResult, pnp_from_pointmap
from lsm_core.types import Prediction

MIN_OPACITY = 0.3
OPTIONS = PnpOptions(max_error_px=5.0)


def pose_from_centres(
    prediction: Prediction, view: int, min_opacity: float = MIN_OPACITY, options: PnpOptions = OPTIONS
) -> PnpResult:
    """Find the camera of a view from where its pixels' Gaussians are in the frame of camera 0.

    Where the Gaussians are not one per pixel of the views, the view's pointmap is used, on all finite pixels.

    Args:
        prediction: with a pointmap of the view; Gaussians where the model gives them.
        view: whose camera is wanted.
        min_opacity: of a Gaussian that counts.
        options: thresholds and seed.

    Raises:
        InputError: there is no such view.
        GeometryError: too few points, or no pose with enough inliers.
    """
    if not 0 <= view < prediction.views:
        raise InputError(f"There is no view {view} among {prediction.views}.")
    points, opaque = pixel_centres(prediction, view, min_opacity)
    if not bool(opaque.any()):
        raise GeometryError(f"No pixel of view {view} has an opaque point.", "Use images that overlap more.")
    return pnp_from_pointmap(points, prediction.intrinsics[view], opaque, options)


def pixel_centres(prediction: Prediction, view: int, min_opacity: float = MIN_OPACITY) -> tuple[Tensor, Tensor]:
    """Return a point [h, w, 3] per pixel of a view, frame of camera 0, and which to trust [h, w] bool."""
    pointmap = prediction.pointmaps[view]
    sizes = [int(p.shape[0] * p.shape[1]) for p in prediction.pointmaps]
    gaussians = prediction.gaussians
    if gaussians is None or len(gaussians) != sum(sizes):
        return pointmap, torch.isfinite(pointmap).all(-1)
    own = slice(sum(sizes[:view]), sum(sizes[: view + 1]))
    shape = pointmap.shape[:2]
    means, opacities = gaussians.means[own], gaussians.opacities[own]
    return means.reshape(*shape, 3), opacities.reshape(shape) > min_opacity
