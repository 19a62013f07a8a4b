"""Relative pose of a pair from dense matches and both views' own depth: candidates, refinement, support."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.tiny_pose_search import depth_ratio, pose_candidates
from lsm_core.backends.tiny_pose_solver import minimise_cauchy
from lsm_core.backends.tiny_residuals import (
    Array,
    MatchedPoints,
    PoseOptions,
    depth_directions,
    deviations,
    moved_points,
    projection_jacobian,
    reprojection_residuals,
    whitening,
)
from lsm_core.errors import GeometryError

STEPS = 10  # of the joint refinement, per round


@dataclass(frozen=True)
class PairPose:
    """Pose and relative depth scale of a pair.

    Attributes:
        T_1_0: [4, 4] float64, maps camera 0 to camera 1, in view 0's depth unit.
        scale_1: multiply view 1's depth by this to bring it to view 0's unit.
        inliers: [M] bool.
        inlier_count: supporting matches.
        parallax_deg: median angle between the cameras' rays at the supporting points.
        match_count: matches that could have supported it, M.
    """

    T_1_0: Array
    scale_1: float
    inliers: NDArray[np.bool_]
    inlier_count: int
    parallax_deg: float
    match_count: int


def estimate_pose(found: MatchedPoints, options: PoseOptions, start: PairPose | None = None) -> PairPose:
    """Find the pose: candidates from PnP in both directions and from two-view geometry, refined; the best kept.

    Args:
        found: lifted matches.
        options: thresholds.
        start: an earlier estimate to refine instead of searching anew.

    Raises:
        GeometryError: too few matches or too little support.
    """
    total = len(found.points_0)
    if total < options.min_inliers:
        raise GeometryError(
            f"The views share {total} matches, a pose needs {options.min_inliers}.",
            "Use views that overlap more, or that show more texture.",
        )
    starts = pose_candidates(found, options) if start is None else [(start.T_1_0, start.scale_1)]
    best: tuple[Array, float, NDArray[np.bool_]] | None = None
    for T_1_0, scale_1 in starts:
        T_1_0, scale_1 = refine_jointly(found, T_1_0, scale_1, options)
        inliers = deviations(found, T_1_0, scale_1, options) < options.max_deviation
        if best is None or inliers.sum() > best[2].sum():
            best = (T_1_0, scale_1, inliers)
    needed = max(options.min_inliers, int(np.ceil(options.min_inlier_share * total)))
    count = 0 if best is None else int(best[2].sum())
    if best is None or count < needed:
        raise GeometryError(
            f"Only {count} of {total} matches support the best pose, {needed} are needed.",
            "Use views that overlap more; moving objects and repeated patterns also cause this.",
        )
    T_1_0, _, inliers = best
    # The reprojections see the relative scale through parallax only; the depths of matched points compare directly.
    scale_1 = depth_ratio(found.points_0, T_1_0, found.points_1[:, 2], inliers)
    return PairPose(T_1_0, scale_1, inliers, count, parallax_deg(found, T_1_0, inliers), total)


def refine_jointly(
    found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions, reach: float = 4.0
) -> tuple[Array, float]:
    """Minimise the whitened residuals over rotation, translation and relative scale (Cauchy loss).

    Args:
        found: lifted matches.
        T_1_0, scale_1: start.
        options: thresholds.
        reach: matches up to so many times the largest supporting deviation take part.
    """
    for _ in range(options.rounds):
        near = deviations(found, T_1_0, scale_1, options) < reach * options.max_deviation
        if near.sum() < 8:
            return T_1_0, scale_1
        T_1_0, scale_1 = _refine_once(found.rows(near), T_1_0, scale_1, options)
    return T_1_0, scale_1


class JointProblem:
    """Whitened reprojection residuals of both directions as a function of seven numbers about a start value.

    The numbers are a rotation vector (applied on the left), a translation in units of the median
    depth, and the change of ln scale_1.
    """

    def __init__(self, found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions) -> None:
        self._found, self._T, self._scale = found, T_1_0, scale_1
        self._unit = max(float(np.median(found.points_0[:, 2])), 1e-6)
        self._whitening = [whitening(g, options, found.spread) for g in depth_directions(found, T_1_0, scale_1)]

    def unpack(self, x: Array) -> tuple[Array, float]:
        """Return T_1_0 [4, 4] and scale_1 at x [7]."""
        T = self._T.copy()
        T[:3, :3] = cv2.Rodrigues(x[:3])[0] @ self._T[:3, :3]
        T[:3, 3] += self._unit * x[3:6]
        return T, self._scale * float(np.exp(x[6]))

    def residuals(self, x: Array) -> Array:
        """Return [4 M] whitened residuals."""
        pairs = zip(self._whitening, reprojection_residuals(self._found, *self.unpack(x)), strict=True)
        return np.concatenate([W @ e[:, :, None] for W, e in pairs]).ravel()

    def jacobian(self, x: Array) -> Array:
        """Return d residuals / d x, [4 M, 7]; exact at x = 0, to first order in the rotation elsewhere."""
        T, scale_1 = self.unpack(x)
        R, t = T[:3, :3], T[:3, 3]
        P_1, P_0 = moved_points(self._found, T, scale_1)
        turned, other = self._found.points_0 @ R.T, scale_1 * self._found.points_1
        count = len(P_1)
        d_1, d_0 = np.zeros((count, 3, 7)), np.zeros((count, 3, 7))
        d_1[:, :, :3], d_1[:, :, 3:6] = -_skew(turned), self._unit * np.eye(3)
        d_0[:, :, :3], d_0[:, :, 3:6] = R.T @ _skew(other - t), -self._unit * R.T
        d_0[:, :, 6] = other @ R
        blocks = []
        cameras = ((P_1, d_1, self._found.K_1), (P_0, d_0, self._found.K_0))
        for (P, d, K), W in zip(cameras, self._whitening, strict=True):
            blocks.append(W @ (projection_jacobian(P, K) @ d))  # [M, 2, 7]
        return np.concatenate(blocks).reshape(4 * count, 7)


def _refine_once(found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions) -> tuple[Array, float]:
    problem = JointProblem(found, T_1_0, scale_1, options)
    return problem.unpack(minimise_cauchy(problem, 7, STEPS))


def _skew(v: Array) -> Array:
    """Return cross-product matrices [M, 3, 3] of vectors [M, 3]."""
    out = np.zeros((len(v), 3, 3))
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    return out - out.transpose(0, 2, 1)


def parallax_deg(found: MatchedPoints, T_1_0: Array, inliers: NDArray[np.bool_]) -> float:
    """Median angle at the points between the two cameras' rays."""
    points = found.points_0[inliers]
    centre_1 = -T_1_0[:3, :3].T @ T_1_0[:3, 3]
    to_1 = points - centre_1
    cosine = (points * to_1).sum(1) / (np.linalg.norm(points, axis=1) * np.linalg.norm(to_1, axis=1) + 1e-12)
    return float(np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1)))))
