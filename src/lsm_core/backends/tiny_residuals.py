"""How well a pair pose explains matches, given what a match and a depth can know.

Depth from one image is good to some ten percent only, matches to a pixel or two. A reprojection
error along the epipolar line says little then, one across it says much: residuals are whitened with
a covariance that adds the depth's uncertainty along the direction in which a point moves when its
depth changes (equivalent to solving for every point's depth with the network's as a prior).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

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
    spread: Array | None = None  # [M] deviation of each match in units of PoseOptions.match_px; None: 1 for all

    def rows(self, which: NDArray[np.bool_] | slice) -> MatchedPoints:
        """Return some of the matches."""
        return MatchedPoints(
            points_0=self.points_0[which],
            points_1=self.points_1[which],
            pixels_in_1=self.pixels_in_1[which],
            pixels_in_0=self.pixels_in_0[which],
            K_0=self.K_0,
            K_1=self.K_1,
            spread=None if self.spread is None else self.spread[which],
        )


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


def deviations(found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions) -> Array:
    """Return the larger of each match's two whitened residuals, [M]; infinite behind a camera."""
    pairs = zip(depth_directions(found, T_1_0, scale_1), reprojection_residuals(found, T_1_0, scale_1), strict=True)
    whitened = [whitening(g, options, found.spread) @ e[:, :, None] for g, e in pairs]
    worst = np.maximum(*(np.linalg.norm(w[:, :, 0], axis=1) for w in whitened))
    P_1, P_0 = moved_points(found, T_1_0, scale_1)
    return np.where((P_1[:, 2] > 1e-3) & (P_0[:, 2] > 1e-3), worst, np.inf)


def log_likelihood_ratios(
    found: MatchedPoints, T_1_0: Array, scale_1: float, options: PoseOptions, area_px: float
) -> Array:
    """Return how much better a pose explains each match than chance does, [M] natural logarithms, at least 0.

    A match that belongs to the pose is normal about its projection with the covariance of `whitening`, a wrong one
    lies anywhere in an area (MLESAC, Torr and Zisserman 2000). A pose that lets depth move a point far explains
    nearly any match; unlike a count of small deviations, the density says so. The worse direction counts.

    Args:
        found: lifted matches.
        T_1_0, scale_1: the pose.
        options: standard deviations.
        area_px: that of the image, px^2 of the grid.
    """
    P_1, P_0 = moved_points(found, T_1_0, scale_1)
    worst = np.full(len(P_1), np.inf)
    pairs = zip(depth_directions(found, T_1_0, scale_1), reprojection_residuals(found, T_1_0, scale_1), strict=True)
    for direction, residual in pairs:
        W = whitening(direction, options, found.spread)
        distance = np.square((W @ residual[:, :, None])[:, :, 0]).sum(1)
        worst = np.minimum(worst, np.log(area_px * np.linalg.det(W) / (2 * np.pi)) - 0.5 * distance)
    in_front = (P_1[:, 2] > 1e-3) & (P_0[:, 2] > 1e-3)
    return np.where(in_front, np.maximum(worst, 0.0), 0.0)


def moved_points(found: MatchedPoints, T_1_0: Array, scale_1: float) -> tuple[Array, Array]:
    """Return points_0 in camera 1 and points_1 in camera 0, both in view 0's unit."""
    R, t = T_1_0[:3, :3], T_1_0[:3, 3]
    return found.points_0 @ R.T + t, (scale_1 * found.points_1 - t) @ R


def reprojection_residuals(found: MatchedPoints, T_1_0: Array, scale_1: float) -> tuple[Array, Array]:
    """Return reprojection residuals [M, 2] of points_0 in view 1 and of points_1 in view 0."""
    P_1, P_0 = moved_points(found, T_1_0, scale_1)
    return project_points(P_1, found.K_1) - found.pixels_in_1, project_points(P_0, found.K_0) - found.pixels_in_0


def project_points(points: Array, K: Array) -> Array:
    z = np.maximum(points[:, 2:], 1e-3)
    return np.asarray(points[:, :2] / z * [K[0, 0], K[1, 1]] + [K[0, 2], K[1, 2]])


def depth_directions(found: MatchedPoints, T_1_0: Array, scale_1: float) -> tuple[Array, Array]:
    """Return how far each projection moves per unit of its point's log depth, [M, 2] px for both directions."""
    R = T_1_0[:3, :3]
    P_1, P_0 = moved_points(found, T_1_0, scale_1)
    out = []
    for P, velocity, K in ((P_1, found.points_0 @ R.T, found.K_1), (P_0, scale_1 * found.points_1 @ R, found.K_0)):
        z = np.maximum(P[:, 2:], 1e-3)
        out.append((velocity[:, :2] / z - P[:, :2] * velocity[:, 2:] / z**2) * [K[0, 0], K[1, 1]])
    return out[0], out[1]


def whitening(direction: Array, options: PoseOptions, spread: Array | None = None) -> Array:
    """Return the inverse roots [M, 2, 2] of match_px^2 I + log_depth^2 g g^T for directions g [M, 2].

    Args:
        direction: g, px per unit of log depth.
        options: match_px and log_depth.
        spread: [M] factors on match_px.
    """
    match_px = options.match_px * (np.ones(len(direction)) if spread is None else spread)[:, None, None]
    length = np.linalg.norm(direction, axis=1)[:, None, None]
    unit = direction[:, :, None] / np.maximum(length, 1e-9)
    shrink = 1.0 - 1.0 / np.sqrt(1.0 + (options.log_depth * length / match_px) ** 2)
    return np.asarray((np.eye(2) - shrink * (unit @ unit.transpose(0, 2, 1))) / match_px)


def projection_jacobian(points: Array, K: Array) -> Array:
    """Return d pixel / d point, [M, 2, 3]."""
    z = np.maximum(points[:, 2], 1e-3)
    out = np.zeros((len(points), 2, 3))
    out[:, 0, 0], out[:, 1, 1] = K[0, 0] / z, K[1, 1] / z
    out[:, 0, 2], out[:, 1, 2] = -K[0, 0] * points[:, 0] / z**2, -K[1, 1] * points[:, 1] / z**2
    return out
