"""Relative pose of a pair from dense matches and both views' own depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from torch import Tensor

from lsm_core.errors import GeometryError
from lsm_core.geometry import PnpOptions, invert, so3_exp, so3_log, solve_pnp
from lsm_core.nn.tiny.matching import Matches

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PoseOptions:
    """How the pose of a pair is searched; pixels are those of the input grid.

    Attributes:
        max_error_px: reprojection error up to which a match supports the pose.
        min_inliers: fewer matches than this is no pose.
        min_inlier_share: of the mutual matches.
        robust_px: scale of the Cauchy loss in the joint refinement.
    """

    max_error_px: float = 5.0
    min_inliers: int = 20
    min_inlier_share: float = 0.2
    robust_px: float = 1.5


@dataclass(frozen=True)
class MatchedPoints:
    """Matches lifted with each view's own depth, M rows."""

    points_0: Array  # [M, 3] camera 0, at the cell centres of view 0
    points_1: Array  # [M, 3] camera 1, at the cell centres of view 1
    pixels_in_1: Array  # [M, 2] where points_0 appear in view 1
    pixels_in_0: Array  # [M, 2] where points_1 appear in view 0
    K_0: Array  # [3, 3]
    K_1: Array  # [3, 3]


@dataclass(frozen=True)
class PairPose:
    """Pose and relative depth scale of a pair.

    Attributes:
        T_1_0: [4, 4] float64, maps camera 0 to camera 1, in view 0's depth unit.
        scale_1: multiply view 1's depth by this to bring it to view 0's unit.
        inliers: [M] bool.
        inlier_count: supporting matches.
        parallax_deg: median angle between matched rays once the rotation is undone.
    """

    T_1_0: Array
    scale_1: float
    inliers: NDArray[np.bool_]
    inlier_count: int
    parallax_deg: float


def lift_matches(matches: Matches, log_depth: Tensor, rays: Tensor, K: Tensor, stride: int) -> MatchedPoints:
    """Turn matches at cells into points and pixels.

    Args:
        matches: mutual matches of one pair.
        log_depth: [2, 1, h, w] of both views at the cells.
        rays: [2, h, w, 3] with z = 1.
        K: [2, 3, 3] px of the input grid.
        stride: px per cell.
    """
    points = (rays.double() * log_depth[:, 0, ..., None].double().exp()).flatten(1, 2).cpu()
    offset = (stride - 1) / 2.0
    return MatchedPoints(
        points_0=points[0][matches.cell_0.cpu()].numpy(),
        points_1=points[1][matches.cell_1.cpu()].numpy(),
        pixels_in_1=(matches.xy_1.double().cpu() * stride + offset).numpy(),
        pixels_in_0=(matches.xy_0.double().cpu() * stride + offset).numpy(),
        K_0=K[0].double().cpu().numpy(),
        K_1=K[1].double().cpu().numpy(),
    )


def estimate_pose(found: MatchedPoints, options: PoseOptions, start: PairPose | None = None) -> PairPose:
    """Find the pose: PnP in both directions, the better one refined jointly on all matches.

    Args:
        found: lifted matches.
        options: thresholds.
        start: an earlier estimate to refine instead of searching anew.

    Raises:
        GeometryError: too few matches or inliers.
    """
    if len(found.points_0) < options.min_inliers:
        raise GeometryError(
            f"The views share {len(found.points_0)} matches, a pose needs {options.min_inliers}.",
            "Use views that overlap more, or that show more texture.",
        )
    if start is None:
        T_1_0, scale_1 = _search(found, options)
    else:
        T_1_0, scale_1 = start.T_1_0, start.scale_1
    T_1_0, scale_1 = _refine_jointly(found, T_1_0, scale_1, options)
    error = reprojection_errors(found, T_1_0, scale_1)
    inliers = error < options.max_error_px
    count = int(inliers.sum())
    needed = max(options.min_inliers, int(np.ceil(options.min_inlier_share * len(inliers))))
    if count < needed:
        raise GeometryError(
            f"Only {count} of {len(inliers)} matches support the best pose, {needed} are needed.",
            "Use views that overlap more; moving objects and repeated patterns also cause this.",
        )
    return PairPose(T_1_0, scale_1, inliers, count, _parallax_deg(found, T_1_0, inliers))


def reprojection_errors(found: MatchedPoints, T_1_0: Array, scale_1: float) -> Array:
    """Return the larger of the two reprojection errors [M] in px."""
    forward, backward = _residuals(found, T_1_0, scale_1)
    return np.maximum(np.linalg.norm(forward, axis=1), np.linalg.norm(backward, axis=1))


def _search(found: MatchedPoints, options: PoseOptions) -> tuple[Array, float]:
    """Solve PnP with view 0's depth and with view 1's; keep the one with more inliers."""
    pnp = PnpOptions(max_error_px=options.max_error_px, min_inliers=options.min_inliers)
    candidates: list[tuple[int, Array, float]] = []
    failure: GeometryError | None = None
    for backwards in (False, True):
        try:
            if backwards:
                result = solve_pnp(found.points_1, found.pixels_in_0, found.K_0, pnp)
            else:
                result = solve_pnp(found.points_0, found.pixels_in_1, found.K_1, pnp)
        except GeometryError as error:
            failure = error
            continue
        T = result.T_cam_scene.double()
        mask = result.inliers.numpy()
        if backwards:
            scale = _relative_scale(found.points_1, T.numpy(), found.points_0[:, 2], mask)
            T = invert(T)
            T[:3, 3] *= 1.0 / scale
            scale = 1.0 / scale
        else:
            scale = _relative_scale(found.points_0, T.numpy(), found.points_1[:, 2], mask)
        candidates.append((result.inlier_count, T.numpy(), scale))
    if not candidates:
        raise failure if failure is not None else GeometryError("No pose was found.")
    _, T_1_0, scale_1 = max(candidates, key=lambda candidate: candidate[0])
    return T_1_0, scale_1


def _relative_scale(points: Array, T: Array, depth: Array, mask: NDArray[np.bool_]) -> float:
    """Median ratio of the depth of moved points [M, 3] to the depth [M] that the other view measures there."""
    ratio = (points @ T[:3, :3].T + T[:3, 3])[:, 2] / np.maximum(depth, 1e-6)
    usable = mask & (ratio > 0.05) & (ratio < 20)
    return float(np.median(ratio[usable])) if usable.any() else 1.0


def _residuals(found: MatchedPoints, T_1_0: Array, scale_1: float) -> tuple[Array, Array]:
    """Return reprojection residuals [M, 2] of points_0 in view 1 and of points_1 in view 0."""
    R, t = T_1_0[:3, :3], T_1_0[:3, 3]
    forward = _project(found.points_0 @ R.T + t, found.K_1) - found.pixels_in_1
    backward = _project((scale_1 * found.points_1 - t) @ R, found.K_0) - found.pixels_in_0
    return forward, backward


def _project(points: Array, K: Array) -> Array:
    z = np.maximum(points[:, 2:], 1e-3)
    return np.asarray(points[:, :2] / z * [K[0, 0], K[1, 1]] + [K[0, 2], K[1, 2]])


def _refine_jointly(
    found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions
) -> tuple[Array, float]:
    """Minimise both reprojection errors over rotation, translation and relative scale (Cauchy loss)."""
    near = reprojection_errors(found, T_1_0, scale_1) < 4 * options.max_error_px
    if near.sum() < 8:
        return T_1_0, scale_1
    kept = MatchedPoints(
        found.points_0[near], found.points_1[near], found.pixels_in_1[near], found.pixels_in_0[near],
        found.K_0, found.K_1,
    )  # fmt: skip
    unit = max(float(np.median(kept.points_0[:, 2])), 1e-6)

    def unpack(x: Array) -> tuple[Array, float]:
        T = np.eye(4)
        T[:3, :3] = so3_exp(torch.from_numpy(x[:3].copy())).numpy() @ T_1_0[:3, :3]
        T[:3, 3] = T_1_0[:3, 3] + unit * x[3:6]
        return T, scale_1 * float(np.exp(x[6]))

    def cost(x: Array) -> Array:
        forward, backward = _residuals(kept, *unpack(x))
        return np.concatenate((forward.ravel(), backward.ravel()))

    result = least_squares(cost, np.zeros(7), loss="cauchy", f_scale=options.robust_px, max_nfev=15)
    return unpack(result.x)


def _parallax_deg(found: MatchedPoints, T_1_0: Array, inliers: NDArray[np.bool_]) -> float:
    """Median angle at the points between the two cameras' rays."""
    points = found.points_0[inliers]
    centre_1 = -T_1_0[:3, :3].T @ T_1_0[:3, 3]
    to_1 = points - centre_1
    cosine = (points * to_1).sum(1) / (np.linalg.norm(points, axis=1) * np.linalg.norm(to_1, axis=1) + 1e-12)
    return float(np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1)))))


def rotation_between_deg(T_a: Array, T_b: Array) -> float:
    """Angle between two poses' rotations in degrees."""
    return float(np.degrees(np.linalg.norm(so3_log(torch.from_numpy(T_a[:3, :3].T @ T_b[:3, :3])).numpy())))
