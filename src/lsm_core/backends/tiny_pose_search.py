"""Start values of the pair pose: PnP with either view's depth, and two-view geometry without depth."""

from __future__ import annotations

import numpy as np
import poselib
from numpy.typing import NDArray

from lsm_core.backends.tiny_residuals import Array, MatchedPoints, PoseOptions
from lsm_core.errors import GeometryError
from lsm_core.geometry import PnpOptions, invert, solve_pnp
from lsm_core.geometry.pnp import poselib_pinhole


def pose_candidates(found: MatchedPoints, options: PoseOptions) -> list[tuple[Array, float]]:
    """Return start values (T_1_0, scale_1) from view 0's depth, view 1's depth, and neither."""
    pnp = PnpOptions(max_error_px=options.pnp_error_px, min_inliers=12, max_iterations=400, refine=False)
    out: list[tuple[Array, float]] = []
    try:
        result = solve_pnp(found.points_0, found.pixels_in_1, found.K_1, pnp)
        T = result.T_cam_scene.double().numpy()
        out.append((T, depth_ratio(found.points_0, T, found.points_1[:, 2], result.inliers.numpy())))
    except GeometryError:
        pass
    try:
        result = solve_pnp(found.points_1, found.pixels_in_0, found.K_0, pnp)
        T_0_1 = result.T_cam_scene.double().numpy()
        ratio = depth_ratio(found.points_1, T_0_1, found.points_0[:, 2], result.inliers.numpy())
        T = invert(result.T_cam_scene.double()).numpy()
        T[:3, 3] /= ratio
        out.append((T, 1.0 / ratio))
    except GeometryError:
        pass
    two_view = two_view_candidate(found, options)
    return out if two_view is None else [*out, two_view]


def two_view_candidate(found: MatchedPoints, options: PoseOptions) -> tuple[Array, float] | None:
    """Relative pose without depth; the length of its translation is fitted to view 0's depth."""
    pixels_0 = found.points_0[:, :2] / found.points_0[:, 2:] * [found.K_0[0, 0], found.K_0[1, 1]]
    pixels_0 += np.array([found.K_0[0, 2], found.K_0[1, 2]])
    search = {"max_epipolar_error": options.epipolar_error_px, "max_iterations": 400, "seed": 0}
    pose, info = poselib.estimate_relative_pose(
        pixels_0, found.pixels_in_1, poselib_pinhole(found.K_0), poselib_pinhole(found.K_1), search, {}
    )
    inliers = np.asarray(info["inliers"], dtype=bool)
    if inliers.sum() < 12:
        return None
    R, t = np.asarray(pose.R), np.asarray(pose.t)
    bearing = np.column_stack(
        ((found.pixels_in_1 - [found.K_1[0, 2], found.K_1[1, 2]]) / [found.K_1[0, 0], found.K_1[1, 1]],
         np.ones(len(inliers)))
    )  # fmt: skip
    # bearing x (R X + length * t) = 0 is linear in the length
    a = np.cross(bearing, np.broadcast_to(t, bearing.shape))
    b = -np.cross(bearing, found.points_0 @ R.T)
    lengths = (a * b).sum(1) / np.maximum((a * a).sum(1), 1e-12)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = R, t * max(float(np.median(lengths[inliers])), 1e-4)
    return T, depth_ratio(found.points_0, T, found.points_1[:, 2], inliers)


def depth_ratio(points: Array, T: Array, depth: Array, mask: NDArray[np.bool_]) -> float:
    """Median ratio of the depth of moved points [M, 3] to the depth [M] that the other view gives there."""
    ratio = (points @ T[:3, :3].T + T[:3, 3])[:, 2] / np.maximum(depth, 1e-6)
    usable = mask & (ratio > 0.05) & (ratio < 20)
    return float(np.median(ratio[usable])) if usable.any() else 1.0
