"""How much of one view another one sees, from depth and relative pose."""

from __future__ import annotations

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
