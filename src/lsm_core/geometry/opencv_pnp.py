"""Pose from points as DUSt3R's pair viewer finds it: OpenCV's RANSAC with SQPNP, not refined afterwards.

`pnp.py` is what the backends use; this one gives the reference's own answer, its errors included.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from lsm_core.errors import GeometryError
from lsm_core.geometry.camera import pixel_grid
from lsm_core.geometry.pnp import as_float64

ITERATIONS = 100
MIN_POINTS = 4


@dataclass(frozen=True, eq=False)
class OpencvPose:
    """[4, 4] float32 pose of a camera in the scene frame, and how many pixels agree with it."""

    T_scene_cam: Tensor
    inlier_count: int


def opencv_pose(pointmap: Tensor, K: Tensor, mask: Tensor, max_error_px: float) -> OpencvPose:
    """Find the pose of the camera that saw a pointmap given in another frame.

    Args:
        pointmap: [h, w, 3] in the scene frame, one point per pixel of the camera.
        K: [3, 3] on the pointmap's grid; no distortion.
        mask: [h, w] bool, pixels to use.
        max_error_px: reprojection error up to which a pixel agrees.

    Raises:
        GeometryError: too few pixels, or OpenCV finds no pose.
    """
    points, pixels = as_float64(pointmap[mask]), as_float64(pixel_grid(*pointmap.shape[:2])[mask])
    if len(points) < MIN_POINTS:
        raise GeometryError(f"A pose needs {MIN_POINTS} pixels, got {len(points)}.")
    try:
        found, turn, shift, inliers = cv2.solvePnPRansac(
            points.astype(np.float32), pixels.astype(np.float32), as_float64(K), np.zeros(0),
            iterationsCount=ITERATIONS, reprojectionError=max_error_px, flags=cv2.SOLVEPNP_SQPNP,
        )  # fmt: skip
    except cv2.error as error:
        raise GeometryError(f"OpenCV finds no pose: {error}.") from error
    if not found:
        raise GeometryError("OpenCV finds no pose.")
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = cv2.Rodrigues(turn)[0], shift[:, 0]
    return OpencvPose(torch.from_numpy(np.linalg.inv(T)).float(), 0 if inliers is None else len(inliers))
