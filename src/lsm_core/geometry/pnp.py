"""Camera pose from 2D-3D correspondences: PnP in RANSAC with local optimisation, through PoseLib."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import poselib
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import GeometryError, InputError
from lsm_core.geometry.camera import pixel_grid
from lsm_core.geometry.se3 import invert

Array = Tensor | NDArray[Any]


@dataclass(frozen=True)
class PnpOptions:
    """How a pose is searched.

    Attributes:
        max_error_px: reprojection error up to which a correspondence is an inlier.
        max_iterations, min_iterations: RANSAC draws.
        success_probability: stop when a better sample is this unlikely to be missed.
        min_inliers: fewer inliers than this is a failure.
        seed: of the sampling; the same input and seed give the same pose.
        refine: run a final robust non-linear refinement (Cauchy loss) on all inliers.
    """

    max_error_px: float = 3.0
    max_iterations: int = 1000
    min_iterations: int = 50
    success_probability: float = 0.9999
    min_inliers: int = 12
    seed: int = 0
    refine: bool = True


@dataclass(frozen=True)
class PnpResult:
    """A camera pose and its support.

    Attributes:
        T_cam_scene: [4, 4] float32, maps points of the scene frame into the camera.
        inliers: [N] bool over the correspondences given.
        inlier_count: number of inliers.
        median_error_px: median reprojection error of the inliers in pixels.
    """

    T_cam_scene: Tensor
    inliers: Tensor
    inlier_count: int
    median_error_px: float

    @property
    def T_scene_cam(self) -> Tensor:
        """[4, 4] float32 pose of the camera in the scene frame."""
        return invert(self.T_cam_scene)


def solve_pnp(points: Array, pixels: Array, K: Array, options: PnpOptions | None = None) -> PnpResult:
    """Find the pose of a pinhole camera from points and the pixels that see them.

    Args:
        points: [N, 3] in the scene frame; rows that are not finite are outliers.
        pixels: [N, 2] (x, y) on the grid of K.
        K: [3, 3] pinhole intrinsics without skew.
        options: thresholds and seed.

    Raises:
        InputError: shapes do not agree.
        GeometryError: too few correspondences, or no pose with enough inliers.
    """
    opts = options or PnpOptions()
    xyz, uv, camera = as_float64(points), as_float64(pixels), poselib_pinhole(as_float64(K))
    if xyz.ndim != 2 or xyz.shape[1:] != (3,) or uv.shape != (len(xyz), 2):
        raise InputError(f"PnP needs points [N, 3] and pixels [N, 2], got {xyz.shape} and {uv.shape}.")
    finite = np.isfinite(xyz).all(1) & np.isfinite(uv).all(1)
    if finite.sum() < max(4, opts.min_inliers):
        raise GeometryError(
            f"PnP has {int(finite.sum())} usable correspondences and needs {max(4, opts.min_inliers)}.",
            "Use views that overlap more, or lower the confidence threshold.",
        )
    pose, found = _ransac(xyz[finite], uv[finite], camera, opts)
    inliers = np.zeros(len(xyz), dtype=bool)
    inliers[finite] = found
    if inliers.sum() < opts.min_inliers:
        raise GeometryError(
            f"PnP found {int(inliers.sum())} inliers of {int(finite.sum())} and needs {opts.min_inliers}.",
            "The views may not overlap, or the points and pixels do not belong together.",
        )
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = pose.R, pose.t
    error = _reprojection_error(xyz[inliers], uv[inliers], T, camera)
    return PnpResult(
        torch.from_numpy(T).float(), torch.from_numpy(inliers), int(inliers.sum()), float(np.median(error))
    )


def pnp_from_pointmap(
    pointmap: Tensor, K: Tensor, mask: Tensor | None = None, options: PnpOptions | None = None, stride: int = 1
) -> PnpResult:
    """Find the pose of the camera that saw a pointmap given in another frame.

    Args:
        pointmap: [h, w, 3] in the scene frame, one point per pixel of the camera.
        K: [3, 3] on the pointmap's grid.
        mask: [h, w] bool, pixels to use; all by default.
        options: thresholds and seed.
        stride: use every n-th pixel in x and y.

    Raises:
        InputError, GeometryError: as `solve_pnp`. `PnpResult.inliers` counts the used pixels in row order.
    """
    h, w = pointmap.shape[:2]
    pixels = pixel_grid(h, w)[::stride, ::stride]
    points = pointmap.detach().cpu()[::stride, ::stride]
    keep = torch.ones(points.shape[:2], dtype=torch.bool)
    if mask is not None:
        keep = mask.detach().cpu().bool()[::stride, ::stride]
    return solve_pnp(points[keep], pixels[keep], K, options)


def _ransac(
    xyz: NDArray[np.float64], uv: NDArray[np.float64], camera: dict[str, Any], opts: PnpOptions
) -> tuple[Any, NDArray[np.bool_]]:
    """Run PoseLib's LO-RANSAC and, if asked, a final refinement; return its pose and the inlier mask [N]."""
    pose, info = poselib.estimate_absolute_pose(
        uv,
        xyz,
        camera,
        {
            "max_reproj_error": opts.max_error_px,
            "max_iterations": opts.max_iterations,
            "min_iterations": opts.min_iterations,
            "success_prob": opts.success_probability,
            "seed": opts.seed,
        },
    )
    inliers = np.asarray(info["inliers"], dtype=bool)
    if opts.refine and inliers.sum() >= max(6, opts.min_inliers):
        bundle = {"loss_type": "CAUCHY", "loss_scale": 0.5 * opts.max_error_px}
        pose, _ = poselib.refine_absolute_pose(uv[inliers], xyz[inliers], pose, camera, bundle)
    return pose, inliers


def _reprojection_error(
    xyz: NDArray[np.float64], uv: NDArray[np.float64], T: NDArray[np.float64], camera: dict[str, Any]
) -> NDArray[np.float64]:
    """Return the pixel distance [N] between projections and pixels."""
    fx, fy, cx, cy = camera["params"]
    p = xyz @ T[:3, :3].T + T[:3, 3]
    predicted = p[:, :2] / p[:, 2:] * [fx, fy] + [cx, cy]
    return np.asarray(np.linalg.norm(predicted - uv, axis=1))


def poselib_pinhole(K: NDArray[np.float64]) -> dict[str, Any]:
    """Return PoseLib's description of a pinhole camera; its size only sets a scale of the problem."""
    if K.shape != (3, 3) or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise InputError("PnP needs finite 3x3 intrinsics with positive focal lengths.")
    width, height = int(max(2 * K[0, 2], 1)), int(max(2 * K[1, 2], 1))
    params = [K[0, 0], K[1, 1], K[0, 2], K[1, 2]]
    return {"model": "PINHOLE", "width": width, "height": height, "params": params}


def as_float64(value: Array) -> NDArray[np.float64]:
    """Return a contiguous float64 array on the CPU."""
    data = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
    return np.ascontiguousarray(data, dtype=np.float64)
