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
    X = np.asarray(points_older, dtype=np.float64)
    R, t = np.asarray(T_older_newer, np.float64)[:3, :3], np.asarray(T_older_newer, np.float64)[:3, 3]
    K = np.asarray(K_newer, dtype=np.float64)
    arm = X - t  # [N, 3] from the newer camera to the points, older axes
    p = arm @ R  # [N, 3] in the newer camera
    front = p[:, 2] > 1e-9
    if int(front.sum()) < min_inliers:
        return unknown_covariance()
    arm, p, pixels = arm[front], p[front], np.asarray(pixels_newer, np.float64)[front]
    x, y, z = p.T
    residual = pixels - np.stack([K[0, 0] * x / z + K[0, 2], K[1, 1] * y / z + K[1, 2]], 1)  # [N, 2]
    zero = np.zeros_like(z)
    J_project = np.stack(
        [
            np.stack([K[0, 0] / z, zero, -K[0, 0] * x / z**2], 1),
            np.stack([zero, K[1, 1] / z, -K[1, 1] * y / z**2], 1),
        ],
        1,
    )  # [N, 2, 3] d pixel / d p
    # p = R^T (X - t); t -> t + dt and R -> exp(dr) R give dp = -R^T dt + R^T [X - t]_x dr.
    J_pose = np.concatenate([np.broadcast_to(-R.T, (len(p), 3, 3)), R.T @ _cross_matrix(arm)], 2)  # [N, 3, 6]
    J = (J_project @ J_pose).reshape(-1, 6)
    sigma = 1.4826 * float(np.median(np.abs(residual)))
    information = J.T @ J
    if not np.isfinite(information).all() or np.linalg.cond(information) > 1e14:
        return unknown_covariance()
    cov = sigma**2 * np.linalg.inv(information)
    return 0.5 * (cov + cov.T)


def _cross_matrix(v: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, 3] -> [N, 3, 3] with [v]_x w = v x w."""
    out = np.zeros((len(v), 3, 3))
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    return out - out.transpose(0, 2, 1)
