"""Focal length from a pointmap: the model that explains where each point was seen (DUSt3R, section 3.3).

Every pixel p, counted from the principal point, sees its point at f * (x/z, y/z). Two robust estimates of f:
reweighted least squares (Weiszfeld) and the median of all single ratios.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.geometry.camera import pixel_grid

FocalMethod = Literal["weiszfeld", "median"]
REFERENCE_FIELD_OF_VIEW_DEG = 60.0


def focal_from_pointmap(
    pointmap: Tensor,
    principal_point: Tensor | None = None,
    method: FocalMethod = "weiszfeld",
    ratio_range: tuple[float, float] = (0.0, math.inf),
    iterations: int = 10,
) -> Tensor:
    """Estimate the focal length in pixels of the camera whose frame the points are in.

    The Weiszfeld estimate is not robust to points with z near 0 (their x/z has no bound); use the median, or mask
    such points to NaN, where the pointmap has them.

    Args:
        pointmap: [..., H, W, 3] points in the frame of the camera that saw them.
        principal_point: [2] (x, y) in pixels; (W/2, H/2) by default, as the reference code has it.
        method: "weiszfeld" or "median".
        ratio_range: the result is clipped to this range times the focal length of a 60 degree field of view.
        iterations: reweighting steps of the Weiszfeld estimate.

    Returns:
        [...] focal lengths in pixels.

    Raises:
        InputError: the pointmap has another shape or the method is unknown.
    """
    if pointmap.ndim < 3 or pointmap.shape[-1] != 3:
        raise InputError(f"A pointmap must be [..., H, W, 3], got {tuple(pointmap.shape)}.")
    height, width = pointmap.shape[-3:-1]
    if principal_point is None:
        principal_point = torch.tensor([width / 2, height / 2])
    offsets = (pixel_grid(height, width, like=pointmap) - principal_point.to(pointmap)).reshape(-1, 2)
    points = pointmap.reshape(*pointmap.shape[:-3], -1, 3)
    if method == "weiszfeld":
        focal = _weiszfeld(points, offsets, iterations)
    elif method == "median":
        focal = _median(points, offsets)
    else:
        raise InputError(f"There is no focal method '{method}'.", "Choose weiszfeld or median.")
    base = max(height, width) / (2 * math.tan(math.radians(REFERENCE_FIELD_OF_VIEW_DEG) / 2))
    return focal.clamp(ratio_range[0] * base, ratio_range[1] * base)


def _median(points: Tensor, offsets: Tensor) -> Tensor:
    """Return the median [...] over both image axes of pixel * z / x; points [..., N, 3], offsets [N, 2]."""
    ratios = offsets * points[..., 2:] / points[..., :2]
    return ratios.flatten(-2).nanmedian(-1).values


def _weiszfeld(points: Tensor, offsets: Tensor, iterations: int) -> Tensor:
    """Return argmin_f [...] of sum |p - f u| with u = (x/z, y/z); points [..., N, 3], offsets [N, 2]."""
    u = (points[..., :2] / points[..., 2:]).nan_to_num(posinf=0.0, neginf=0.0)
    u_dot_p = (u * offsets).sum(-1)
    u_dot_u = u.square().sum(-1)
    focal = u_dot_p.mean(-1) / u_dot_u.mean(-1)
    for _ in range(iterations):
        residual = torch.linalg.vector_norm(offsets - focal[..., None, None] * u, dim=-1)
        weight = 1 / residual.clamp(min=1e-8)
        focal = (weight * u_dot_p).mean(-1) / (weight * u_dot_u).mean(-1)
    return focal
