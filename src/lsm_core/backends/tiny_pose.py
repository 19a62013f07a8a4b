"""Relative pose of a pair from dense matches and both views' own depth.

Depth from one image is good to some ten percent only, matches to a pixel or two. A reprojection
error along the epipolar line says little then, one across it says much: residuals are whitened with
a covariance that adds the depth's uncertainty along the direction in which a point moves when its
depth changes (equivalent to solving for every point's depth with the network's as a prior).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import poselib
from numpy.typing import NDArray
from scipy.optimize import least_squares
from torch import Tensor

from lsm_core.errors import GeometryError
from lsm_core.geometry import PnpOptions, invert, solve_pnp
from lsm_core.geometry.pnp import poselib_pinhole
from lsm_core.nn.tiny.matching import Matches

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PoseOptions:
    """How the pose of a pair is searched; pixels are those of the input grid.

    Attributes:
        match_px: standard deviation of a match.
        log_depth: standard deviation of the logarithm of the network's depth.
        max_deviation: a match supports the pose if both its whitened residuals are below this.
        pnp_error_px: inlier threshold of the PnP search, which takes depth at its word.
        epipolar_error_px: inlier threshold of the two-view search, which uses no depth.
        min_inliers: fewer supporting matches than this is no pose.
        min_inlier_share: of the mutual matches.
        rounds: rounds of the joint refinement, the covariances renewed in each.
    """

    match_px: float = 1.5
    log_depth: float = 0.2
    max_deviation: float = 3.0
    pnp_error_px: float = 6.0
    epipolar_error_px: float = 2.0
    min_inliers: int = 24
    min_inlier_share: float = 0.35
    rounds: int = 2


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
        parallax_deg: median angle between the cameras' rays at the supporting points.
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
    starts = _candidates(found, options) if start is None else [(start.T_1_0, start.scale_1)]
    best: tuple[Array, float, NDArray[np.bool_]] | None = None
    for T_1_0, scale_1 in starts:
        T_1_0, scale_1 = _refine(found, T_1_0, scale_1, options)
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
    scale_1 = _depth_ratio(found.points_0, T_1_0, found.points_1[:, 2], inliers)
    return PairPose(T_1_0, scale_1, inliers, count, _parallax_deg(found, T_1_0, inliers))


def deviations(found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions) -> Array:
    """Return the larger of each match's two whitened residuals, [M]; infinite behind a camera."""
    pairs = zip(_depth_directions(found, T_1_0, scale_1), _residuals(found, T_1_0, scale_1), strict=True)
    whitened = [_whitening(g, options) @ e[:, :, None] for g, e in pairs]
    worst = np.maximum(*(np.linalg.norm(w[:, :, 0], axis=1) for w in whitened))
    P_1, P_0 = _moved(found, T_1_0, scale_1)
    return np.where((P_1[:, 2] > 1e-3) & (P_0[:, 2] > 1e-3), worst, np.inf)


def _candidates(found: MatchedPoints, options: PoseOptions) -> list[tuple[Array, float]]:
    """Return start values (T_1_0, scale_1) from view 0's depth, view 1's depth, and neither."""
    pnp = PnpOptions(max_error_px=options.pnp_error_px, min_inliers=12, max_iterations=400, refine=False)
    out: list[tuple[Array, float]] = []
    try:
        result = solve_pnp(found.points_0, found.pixels_in_1, found.K_1, pnp)
        T = result.T_cam_scene.double().numpy()
        out.append((T, _depth_ratio(found.points_0, T, found.points_1[:, 2], result.inliers.numpy())))
    except GeometryError:
        pass
    try:
        result = solve_pnp(found.points_1, found.pixels_in_0, found.K_0, pnp)
        T_0_1 = result.T_cam_scene.double().numpy()
        ratio = _depth_ratio(found.points_1, T_0_1, found.points_0[:, 2], result.inliers.numpy())
        T = invert(result.T_cam_scene.double()).numpy()
        T[:3, 3] /= ratio
        out.append((T, 1.0 / ratio))
    except GeometryError:
        pass
    two_view = _two_view_candidate(found, options)
    return out if two_view is None else [*out, two_view]


def _two_view_candidate(found: MatchedPoints, options: PoseOptions) -> tuple[Array, float] | None:
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
    return T, _depth_ratio(found.points_0, T, found.points_1[:, 2], inliers)


def _depth_ratio(points: Array, T: Array, depth: Array, mask: NDArray[np.bool_]) -> float:
    """Median ratio of the depth of moved points [M, 3] to the depth [M] that the other view gives there."""
    ratio = (points @ T[:3, :3].T + T[:3, 3])[:, 2] / np.maximum(depth, 1e-6)
    usable = mask & (ratio > 0.05) & (ratio < 20)
    return float(np.median(ratio[usable])) if usable.any() else 1.0


def _moved(found: MatchedPoints, T_1_0: Array, scale_1: float) -> tuple[Array, Array]:
    """Return points_0 in camera 1 and points_1 in camera 0, both in view 0's unit."""
    R, t = T_1_0[:3, :3], T_1_0[:3, 3]
    return found.points_0 @ R.T + t, (scale_1 * found.points_1 - t) @ R


def _residuals(found: MatchedPoints, T_1_0: Array, scale_1: float) -> tuple[Array, Array]:
    """Return reprojection residuals [M, 2] of points_0 in view 1 and of points_1 in view 0."""
    P_1, P_0 = _moved(found, T_1_0, scale_1)
    return _project(P_1, found.K_1) - found.pixels_in_1, _project(P_0, found.K_0) - found.pixels_in_0


def _project(points: Array, K: Array) -> Array:
    z = np.maximum(points[:, 2:], 1e-3)
    return np.asarray(points[:, :2] / z * [K[0, 0], K[1, 1]] + [K[0, 2], K[1, 2]])


def _depth_directions(found: MatchedPoints, T_1_0: Array, scale_1: float) -> tuple[Array, Array]:
    """Return how far each projection moves per unit of its point's log depth, [M, 2] px for both directions."""
    R = T_1_0[:3, :3]
    P_1, P_0 = _moved(found, T_1_0, scale_1)
    out = []
    for P, velocity, K in ((P_1, found.points_0 @ R.T, found.K_1), (P_0, scale_1 * found.points_1 @ R, found.K_0)):
        z = np.maximum(P[:, 2:], 1e-3)
        out.append((velocity[:, :2] / z - P[:, :2] * velocity[:, 2:] / z**2) * [K[0, 0], K[1, 1]])
    return out[0], out[1]


def _whitening(direction: Array, options: PoseOptions) -> Array:
    """Return the inverse roots [M, 2, 2] of match_px^2 I + log_depth^2 g g^T for directions g [M, 2]."""
    length = np.linalg.norm(direction, axis=1)[:, None, None]
    unit = direction[:, :, None] / np.maximum(length, 1e-9)
    shrink = 1.0 - 1.0 / np.sqrt(1.0 + (options.log_depth * length / options.match_px) ** 2)
    return np.asarray((np.eye(2) - shrink * (unit @ unit.transpose(0, 2, 1))) / options.match_px)


def _refine(found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions) -> tuple[Array, float]:
    """Minimise the whitened residuals over rotation, translation and relative scale (Cauchy loss)."""
    for _ in range(options.rounds):
        near = deviations(found, T_1_0, scale_1, options) < 4 * options.max_deviation
        if near.sum() < 8:
            return T_1_0, scale_1
        T_1_0, scale_1 = _refine_once(_select(found, near), T_1_0, scale_1, options)
    return T_1_0, scale_1


class JointProblem:
    """Whitened reprojection residuals of both directions as a function of seven numbers about a start value.

    The numbers are a rotation vector (applied on the left), a translation in units of the median
    depth, and the change of ln scale_1.
    """

    def __init__(self, found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions) -> None:
        self._found, self._T, self._scale = found, T_1_0, scale_1
        self._unit = max(float(np.median(found.points_0[:, 2])), 1e-6)
        self._whitening = [_whitening(g, options) for g in _depth_directions(found, T_1_0, scale_1)]

    def unpack(self, x: Array) -> tuple[Array, float]:
        """Return T_1_0 [4, 4] and scale_1 at x [7]."""
        T = self._T.copy()
        T[:3, :3] = cv2.Rodrigues(x[:3])[0] @ self._T[:3, :3]
        T[:3, 3] += self._unit * x[3:6]
        return T, self._scale * float(np.exp(x[6]))

    def residuals(self, x: Array) -> Array:
        """Return [4 M] whitened residuals."""
        pairs = zip(self._whitening, _residuals(self._found, *self.unpack(x)), strict=True)
        return np.concatenate([W @ e[:, :, None] for W, e in pairs]).ravel()

    def jacobian(self, x: Array) -> Array:
        """Return d residuals / d x, [4 M, 7]; exact at x = 0, to first order in the rotation elsewhere."""
        T, scale_1 = self.unpack(x)
        R, t = T[:3, :3], T[:3, 3]
        P_1, P_0 = _moved(self._found, T, scale_1)
        turned, other = self._found.points_0 @ R.T, scale_1 * self._found.points_1
        count = len(P_1)
        d_1, d_0 = np.zeros((count, 3, 7)), np.zeros((count, 3, 7))
        d_1[:, :, :3], d_1[:, :, 3:6] = -_skew(turned), self._unit * np.eye(3)
        d_0[:, :, :3], d_0[:, :, 3:6] = R.T @ _skew(other - t), -self._unit * R.T
        d_0[:, :, 6] = other @ R
        blocks = []
        cameras = ((P_1, d_1, self._found.K_1), (P_0, d_0, self._found.K_0))
        for (P, d, K), whitening in zip(cameras, self._whitening, strict=True):
            blocks.append(whitening @ (_projection_jacobian(P, K) @ d))  # [M, 2, 7]
        return np.concatenate(blocks).reshape(4 * count, 7)


def _refine_once(found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions) -> tuple[Array, float]:
    problem = JointProblem(found, T_1_0, scale_1, options)
    result = least_squares(problem.residuals, np.zeros(7), jac=problem.jacobian, loss="cauchy", max_nfev=8)
    return problem.unpack(result.x)


def _projection_jacobian(points: Array, K: Array) -> Array:
    """Return d pixel / d point, [M, 2, 3]."""
    z = np.maximum(points[:, 2], 1e-3)
    out = np.zeros((len(points), 2, 3))
    out[:, 0, 0], out[:, 1, 1] = K[0, 0] / z, K[1, 1] / z
    out[:, 0, 2], out[:, 1, 2] = -K[0, 0] * points[:, 0] / z**2, -K[1, 1] * points[:, 1] / z**2
    return out


def _skew(v: Array) -> Array:
    """Return cross-product matrices [M, 3, 3] of vectors [M, 3]."""
    out = np.zeros((len(v), 3, 3))
    out[:, 0, 1], out[:, 0, 2], out[:, 1, 2] = -v[:, 2], v[:, 1], -v[:, 0]
    return out - out.transpose(0, 2, 1)


def _select(found: MatchedPoints, mask: NDArray[np.bool_]) -> MatchedPoints:
    return MatchedPoints(
        found.points_0[mask], found.points_1[mask], found.pixels_in_1[mask], found.pixels_in_0[mask],
        found.K_0, found.K_1,
    )  # fmt: skip


def _parallax_deg(found: MatchedPoints, T_1_0: Array, inliers: NDArray[np.bool_]) -> float:
    """Median angle at the points between the two cameras' rays."""
    points = found.points_0[inliers]
    centre_1 = -T_1_0[:3, :3].T @ T_1_0[:3, 3]
    to_1 = points - centre_1
    cosine = (points * to_1).sum(1) / (np.linalg.norm(points, axis=1) * np.linalg.norm(to_1, axis=1) + 1e-12)
    return float(np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1)))))
