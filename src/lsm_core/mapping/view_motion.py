"""Overlap and parallax of two views from matched corners."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import poselib
from numpy.typing import NDArray

from lsm_core.geometry.two_view import unit_rays

Points = NDArray[np.float32]
MIN_POINTS = 12
MIN_DRAWS = 20  # tracked corners are nearly all inliers; with few of them the search goes on by itself
MIN_INLIER_SHARE = 0.6  # of an essential matrix that is believed
# Residual of the best rotation below which there is no translation to speak of. A sideways motion along a wall is
# nearly a rotation (at 2 degrees of parallax about 0.25 degrees remain), so this must stay close to the noise.
PURE_ROTATION_DEG = 0.1


def overlap(reference: Points, current: Points, size: tuple[int, int], survived: float) -> float:
    """Estimate which share of the reference view is still in view.

    The homography that fits most corners carries a grid of the reference's pixels over; the share that lands inside
    the present image counts. Without a usable homography the share of corners that survived stands in.

    Args:
        reference, current: [N, 2] float32 matched pixels.
        size: (height, width) of both images.
        survived: share of the reference's corners that are still followed.
    """
    if len(reference) < MIN_POINTS:
        return survived
    H, inliers = cv2.findHomography(reference, current, cv2.RANSAC, 3.0, maxIters=300, confidence=0.99)
    if H is None or int(inliers.sum()) < MIN_POINTS:
        return survived
    h, w = size
    v, u = np.meshgrid((np.arange(36) + 0.5) * h / 36 - 0.5, (np.arange(48) + 0.5) * w / 48 - 0.5, indexing="ij")
    carried = np.stack([u.ravel(), v.ravel(), np.ones(u.size)], 1) @ H.T
    front = carried[:, 2] > 1e-6
    x, y = carried[front, 0] / carried[front, 2], carried[front, 1] / carried[front, 2]
    inside = (x >= 0) & (y >= 0) & (x <= w - 1) & (y <= h - 1)
    return float(inside.sum()) / u.size


def parallax_deg(reference: Points, current: Points, K_reference: NDArray[Any], K_current: NDArray[Any]) -> float:
    """Return the median angle between the rays of matched corners after the rotation is removed, degrees.

    A best rotation alone is tried first: if it explains the motion, what remains is the parallax. Otherwise the
    rotation comes from the essential matrix (poselib), since a rotation fitted alone would absorb translation.

    Args:
        reference, current: [N, 2] float32 matched pixels.
        K_reference, K_current: [3, 3] intrinsics.

    Returns:
        The angle; NaN with fewer than 12 corners.
    """
    if len(reference) < MIN_POINTS:
        return math.nan
    a = unit_rays(reference.astype(np.float64), np.asarray(K_reference, np.float64))
    b = unit_rays(current.astype(np.float64), np.asarray(K_current, np.float64))
    alone = angles_deg(a @ best_rotation(a, b).T, b)
    if float(np.median(alone)) < PURE_ROTATION_DEG:
        return float(np.median(alone))
    pose, info = poselib.estimate_relative_pose(
        reference.astype(np.float64),
        current.astype(np.float64),
        _poselib_camera(K_reference),
        _poselib_camera(K_current),
        {"max_epipolar_error": 1.0, "max_iterations": 200, "min_iterations": MIN_DRAWS, "seed": 0},
        {"max_iterations": 10},
    )
    inliers = np.asarray(info["inliers"], dtype=bool)
    if int(inliers.sum()) < max(MIN_POINTS, MIN_INLIER_SHARE * len(inliers)):
        return float(np.median(alone))
    return float(np.median(angles_deg(a[inliers] @ np.asarray(pose.R).T, b[inliers])))


def angles_deg(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the angle between unit vectors, row by row, degrees [N]."""
    return np.degrees(2 * np.arcsin(np.clip(0.5 * np.linalg.norm(a - b, axis=1), 0, 1)))


def best_rotation(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return R [3, 3] with R a ~ b for unit vectors [N, 3]: Kabsch, reweighted thrice against outliers."""
    weight = np.ones(len(a))
    R = np.eye(3)
    for _ in range(4):
        u, _, vt = np.linalg.svd((weight[:, None] * b).T @ a)
        R = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
        residual = np.linalg.norm(a @ R.T - b, axis=1)
        weight = 1 / (1 + (residual / max(float(np.median(residual)), 1e-6)) ** 2)
    return R


def _poselib_camera(K: NDArray[Any]) -> dict[str, Any]:
    params = [float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2])]
    size = (round(2 * params[2]) + 1, round(2 * params[3]) + 1)  # of no effect for a pinhole
    return {"model": "PINHOLE", "width": size[0], "height": size[1], "params": params}
