"""Small synthetic worlds for the mapping tests: views of a textured wall, smooth depth maps, predictions."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from lsm_core.types import Prediction

K_SMALL = np.array([[250.0, 0, 159.5], [0, 250.0, 119.5], [0, 0, 1]])
SIZE = (240, 320)


def texture(seed: int = 0, side: int = 2000) -> np.ndarray:
    """Return a detailed grey wall [side, side] uint8."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            rng.uniform(0, 255, (side // s, side // s)).astype(np.float32),
            (side, side),
            interpolation=cv2.INTER_CUBIC,
        )
        for s in (4, 16, 60)
    ]
    out = np.mean(layers, 0)
    return np.clip((out - out.mean()) * 2.2 + 128, 0, 255).astype(np.uint8)


def pose(yaw_deg: float = 0.0, t: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> np.ndarray:
    """Return T_world_cam of a camera turned about its vertical axis and moved."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("y", yaw_deg, degrees=True).as_matrix()
    T[:3, 3] = t
    return T


def wall_view(
    wall: np.ndarray, T_world_cam: np.ndarray, distance: float = 3.0, tilt_deg: float = 30.0
) -> np.ndarray:
    """Return what a camera [240, 320] sees of a wall ahead of the origin, tilted about the vertical axis."""
    n = Rotation.from_euler("y", tilt_deg, degrees=True).as_matrix() @ np.array([0, 0, 1.0])
    right, down = np.cross([0, 1.0, 0], n), np.array([0, 1.0, 0])
    per_metre = 160.0
    origin = np.array([0, 0, distance]) - (right + down) * wall.shape[0] / 2 / per_metre
    # wall pixel (a, b, 1) -> world point -> camera pixel
    P = np.stack([right / per_metre, down / per_metre, origin], 1)
    T_cam_world = np.linalg.inv(T_world_cam)
    H = K_SMALL @ (T_cam_world[:3, :3] @ P + np.outer(T_cam_world[:3, 3], [0, 0, 1]))
    return cv2.warpPerspective(wall, H, SIZE[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def smooth_depth(rng: np.random.Generator, shape: tuple[int, int] = (24, 32)) -> np.ndarray:
    """Return a depth map with relief, metres."""
    coarse = rng.uniform(1.0, 4.0, (4, 5)).astype(np.float32)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_LINEAR)


def random_pose(rng: np.random.Generator, step: float = 0.3, turn_deg: float = 15.0) -> np.ndarray:
    """Return a small random rigid motion."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_rotvec(np.radians(turn_deg) * rng.uniform(-1, 1, 3)).as_matrix()
    T[:3, 3] = step * rng.uniform(-1, 1, 3)
    return T


def plane_prediction(
    shape: tuple[int, int] = (24, 32), image: tuple[int, int] = (48, 64), depth: float = 2.0
) -> Prediction:
    """Return two views of a plane parallel to the image; the second camera is 0.2 to the right of the first."""
    h, w = shape
    K = torch.tensor([[30.0, 0, (w - 1) / 2], [0, 30.0, (h - 1) / 2], [0, 0, 1]])
    v, u = torch.meshgrid(torch.arange(h).float(), torch.arange(w).float(), indexing="ij")
    own = torch.stack([(u - K[0, 2]) / 30 * depth, (v - K[1, 2]) / 30 * depth, torch.full_like(u, depth)], -1)
    T = torch.eye(4)
    T[0, 3] = 0.2
    sx, sy = image[1] / w, image[0] / h
    to_image = torch.tensor([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    return Prediction(
        backend="test",
        unit="relative",
        image_sizes=[image, image],
        pointmaps=[own, own + T[:3, 3]],
        confidence=[torch.ones(h, w), torch.ones(h, w)],
        poses=[torch.eye(4), T],
        pose_valid=[True, True],
        validity=1.0,
        intrinsics=[K, K],
        grid_to_image=[to_image, to_image],
        colors=[np.full((h, w, 3), 100, np.uint8), np.full((h, w, 3), 100, np.uint8)],
    )
