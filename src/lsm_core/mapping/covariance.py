"""Covariance of a pair's pose from the residuals of its inliers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def unknown_covariance() -> NDArray[np.float64]:
    """Return the 6x6 matrix that says "unknown": -1 in its first element, 0 elsewhere."""
    out = np.zeros((6, 6))
    out[0, 0] = -1.0
    return out


def pose_covariance(
    points_older: NDArray[Any],
    pixels_newer: NDArray[Any],
    K_newer: NDArray[Any],
    T_older_newer: NDArray[Any],
    min_inliers: int = 12,
) -> NDArray[np.float64]:
    """Return the covariance of T_older_newer given points of the older view and their pixels in the newer.

    sigma^2 (J^T J)^-1 of the reprojection error, with a robust sigma from the residuals. It covers pixel noise
    only; an error in the points themselves is not in it.

    Args:
        points_older: [N, 3] inlier points in the older camera's frame.
        pixels_newer: [N, 2] pixels (x, y) where the newer view sees them.
        K_newer: [3, 3] intrinsics of the newer view.
        T_older_newer: [4, 4] rigid.
        min_inliers: fewer give `unknown_covariance`.

    Returns:
        [6, 6] float64: x, y, z in the unit of the points, then rotation about the fixed x, y, z axes of the older
        camera in radians (order of geometry_msgs/PoseWithCovariance).
    """
    raise NotImplementedError
