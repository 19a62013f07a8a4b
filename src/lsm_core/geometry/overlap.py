"""How much of one view another one sees, from depth and relative pose."""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.errors import GeometryError
from lsm_core.geometry.camera import in_image, project, transform_points, unproject
from lsm_core.geometry.se3 import invert


def view_overlap(
    depth0: Tensor,
    K0: Tensor,
    T_cam0_cam1: Tensor,
    K1: Tensor,
    size1: tuple[int, int],
    depth1: Tensor | None = None,
    relative_tolerance: float = 0.1,
) -> float:
    """Return the share of view 0's measured pixels that land inside view 1.

    Args:
        depth0: [h, w] z-depth of view 0, 0 or not finite = no measurement.
        K0: [3, 3] on depth0's grid.
        T_cam0_cam1: [4, 4] pose of camera 1 in camera 0, unit of the depth.
        K1: [3, 3] on view 1's grid.
        size1: (height, width) of view 1.
        depth1: [size1] z-depth of view 1; where it is measured, hidden points do not count. Without it occlusion
            is ignored.
        relative_tolerance: a point counts as hidden if it lies deeper than (1 + this) times depth1.

    Raises:
        GeometryError: depth0 has no measurement.
    """
    valid = depth0.isfinite() & (depth0 > 0)
    if not bool(valid.any()):
        raise GeometryError("Overlap needs at least one depth value in view 0.")
    points1 = transform_points(invert(T_cam0_cam1), unproject(depth0, K0)[valid])
    pixels, z = project(points1, K1)
    seen = in_image(pixels, *size1)
    if depth1 is not None:
        x, y = pixels[seen].round().long().unbind(-1)
        measured = depth1[y.clamp(0, size1[0] - 1), x.clamp(0, size1[1] - 1)]
        visible = ~(measured > 0) | (z[seen] <= (1 + relative_tolerance) * measured)
        return float(visible.sum()) / float(valid.sum())
    return float(seen.sum()) / float(valid.sum())


def co_visible_pixels(
    depth0: Tensor, K0: Tensor, T_cam0_cam1: Tensor, K1: Tensor, depth1: Tensor, relative_tolerance: float = 0.05
) -> tuple[Tensor, Tensor]:
    """Return the pixels of view 0 whose surface view 1 sees too, and where.

    Depth must be measured at both ends and agree; each pixel of view 0 goes to the nearest one of view 1.

    Args:
        depth0: [h0, w0] z-depth of view 0, 0 or not finite = no measurement.
        K0: [3, 3] px of view 0.
        T_cam0_cam1: [4, 4] pose of camera 1 in camera 0, unit of the depth.
        K1: [3, 3] px of view 1.
        depth1: [h1, w1] z-depth of view 1, 0 or not finite = no measurement.
        relative_tolerance: the depths of one surface differ by at most this share.

    Returns:
        [N, 2] int64 (x, y) in view 0 and [N, 2] int64 (x, y) in view 1.
    """
    own = (depth0.isfinite() & (depth0 > 0)).nonzero().flip(-1)
    points1 = transform_points(invert(T_cam0_cam1), unproject(depth0, K0)[own[:, 1], own[:, 0]])
    pixels, z = project(points1, K1)
    inside = in_image(pixels, int(depth1.shape[0]), int(depth1.shape[1]))
    own, other, z = own[inside], pixels[inside].round().long(), z[inside]
    other = other.minimum(torch.tensor([depth1.shape[1] - 1, depth1.shape[0] - 1])).clamp_min(0)
    measured = depth1[other[:, 1], other[:, 0]]
    same = (measured > 0) & ((z - measured).abs() <= relative_tolerance * measured)
    return own[same], other[same]
