"""Two-view geometry without a network: relative pose from matches, and a check of a given pose against them.

A second opinion on a predicted pose, and the classical baseline of the evaluation. Translation has no length here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import poselib
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry.features import FeatureMethod, Matches, match_features
from lsm_core.geometry.pnp import Array, as_float64, poselib_pinhole


@dataclass(frozen=True)
class TwoViewOptions:
    """How an essential matrix is searched.

    Attributes:
        max_error_px: Sampson distance up to which a match is an inlier.
        max_iterations: RANSAC draws.
        min_inliers: fewer inliers than this is a failure.
        seed: of the sampling.
    """

    max_error_px: float = 1.0
    max_iterations: int = 2000
    min_inliers: int = 12
    seed: int = 0


@dataclass(frozen=True)
class TwoViewResult:
    """A relative pose up to the length of its translation.

    Attributes:
        R_cam0_cam1: [3, 3] float32 rotation, camera 1 to camera 0.
        direction_cam0_cam1: [3] float32 unit vector from camera 0 to camera 1, in camera 0; noise where
            `parallax_deg` is small.
        inliers: [N] bool over the matches.
        inlier_count: number of inliers.
        parallax_deg: median angle between the two viewing rays of the inliers after undoing the rotation.
    """

    R_cam0_cam1: Tensor
    direction_cam0_cam1: Tensor
    inliers: NDArray[np.bool_]
    inlier_count: int
    parallax_deg: float

    @property
    def T_cam0_cam1(self) -> Tensor:
        """[4, 4] float32 with a translation of length 1."""
        T = torch.eye(4)
        T[:3, :3], T[:3, 3] = self.R_cam0_cam1, self.direction_cam0_cam1
        return T


@dataclass(frozen=True)
class PoseCheck:
    """How well matches agree with a given relative pose.

    Attributes:
        matches: number of matches used.
        inlier_share: share of them within the tolerance, 0 to 1.
        median_error_px: median Sampson distance in pixels, NaN without matches.
    """

    matches: int
    inlier_share: float
    median_error_px: float


def relative_pose_from_matches(
    matches: Matches, K0: Array, K1: Array, options: TwoViewOptions | None = None
) -> TwoViewResult:
    """Find the relative pose that explains matches (five-point solver in LO-RANSAC, refined).

    Args:
        matches: pixels on the grids of K0 and K1.
        K0, K1: [3, 3] pinhole intrinsics.
        options: threshold and seed.

    Raises:
        GeometryError: too few matches or inliers.
    """
    opts = options or TwoViewOptions()
    k0, k1 = as_float64(K0), as_float64(K1)
    if len(matches) < max(5, opts.min_inliers):
        raise GeometryError(
            f"The two-view check has {len(matches)} matches and needs {max(5, opts.min_inliers)}.",
            "The views may not overlap, or show little texture.",
        )
    ransac = {
        "max_epipolar_error": opts.max_error_px,
        "max_iterations": opts.max_iterations,
        "min_iterations": min(100, opts.max_iterations),
        "seed": opts.seed,
    }
    pose, info = poselib.estimate_relative_pose(
        matches.pixels0, matches.pixels1, poselib_pinhole(k0), poselib_pinhole(k1), ransac, {}
    )
    inliers = np.asarray(info["inliers"], dtype=bool)
    if inliers.sum() < opts.min_inliers:
        raise GeometryError(
            f"The two-view check found {int(inliers.sum())} inliers and needs {opts.min_inliers}.",
            "The views may not overlap.",
        )
    R_cam1_cam0, t = np.asarray(pose.R), np.asarray(pose.t)
    center = -R_cam1_cam0.T @ t
    parallax = _parallax_deg(matches.pixels0[inliers], matches.pixels1[inliers], k0, k1, R_cam1_cam0.T)
    return TwoViewResult(
        torch.from_numpy(R_cam1_cam0.T.copy()).float(),
        torch.from_numpy(center / max(float(np.linalg.norm(center)), 1e-12)).float(),
        inliers,
        int(inliers.sum()),
        parallax,
    )


def two_view_pose(
    image0: NDArray[np.uint8],
    image1: NDArray[np.uint8],
    K0: Array,
    K1: Array,
    method: FeatureMethod = "sift",
    options: TwoViewOptions | None = None,
) -> TwoViewResult:
    """Match two images and find their relative pose; see `match_features` and `relative_pose_from_matches`."""
    return relative_pose_from_matches(match_features(image0, image1, method), K0, K1, options)


def sampson_distance(T_cam0_cam1: Array, K0: Array, K1: Array, matches: Matches) -> NDArray[np.float64]:
    """Return the Sampson distance [N] in pixels of matches to the epipolar geometry of a pose.

    Raises:
        InputError: the pose has no translation, so it has no epipolar geometry.
    """
    T, k0, k1 = as_float64(T_cam0_cam1), as_float64(K0), as_float64(K1)
    R, t = T[:3, :3], T[:3, 3]
    length = float(np.linalg.norm(t))
    if length < 1e-12:
        raise InputError("A pose without translation has no epipolar geometry.", "Check the baseline first.")
    x, y, z = t / length
    t_hat = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    F = np.linalg.inv(k0).T @ t_hat @ R @ np.linalg.inv(k1)  # x0^T F x1 = 0
    ones = np.ones((len(matches), 1))
    x0, x1 = np.hstack([matches.pixels0, ones]), np.hstack([matches.pixels1, ones])
    line0, line1 = x1 @ F.T, x0 @ F
    residual = (x0 * line0).sum(1)
    gradient = np.square(line0[:, :2]).sum(1) + np.square(line1[:, :2]).sum(1)
    return np.asarray(np.abs(residual) / np.sqrt(np.maximum(gradient, 1e-24)))


def check_pose(T_cam0_cam1: Array, K0: Array, K1: Array, matches: Matches, tolerance_px: float = 2.0) -> PoseCheck:
    """Count the matches that a pose explains; `sampson_distance` has the arguments."""
    if len(matches) == 0:
        return PoseCheck(0, 0.0, float("nan"))
    error = sampson_distance(T_cam0_cam1, K0, K1, matches)
    return PoseCheck(len(matches), float((error <= tolerance_px).mean()), float(np.median(error)))


def _parallax_deg(
    pixels0: NDArray[np.float64],
    pixels1: NDArray[np.float64],
    K0: NDArray[np.float64],
    K1: NDArray[np.float64],
    R_cam0_cam1: NDArray[np.float64],
) -> float:
    """Return the median angle in degrees between ray 0 and rotated ray 1 of matches."""
    rays0, rays1 = unit_rays(pixels0, K0), unit_rays(pixels1, K1) @ R_cam0_cam1.T
    sine = np.linalg.norm(np.cross(rays0, rays1), axis=1)
    return float(np.degrees(np.median(np.arctan2(sine, (rays0 * rays1).sum(1)))))


def unit_rays(pixels: NDArray[np.float64], K: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return unit viewing rays [N, 3] of pixels [N, 2]."""
    homogeneous = np.hstack([pixels, np.ones((len(pixels), 1))]) @ np.linalg.inv(K).T
    return np.asarray(homogeneous / np.linalg.norm(homogeneous, axis=1, keepdims=True))
