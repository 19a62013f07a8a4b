"""Cameras made by hand: a lens by its angle, a pose by where it looks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from lsm_core.errors import InputError
from lsm_core.types import Camera


def pinhole(width: int, height: int, fov_deg: float, T_scene_cam: torch.Tensor) -> Camera:
    """Return a camera with a horizontal field of view, principal point in the middle."""
    focal = width / 2 / np.tan(np.deg2rad(fov_deg) / 2)
    K = torch.tensor([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]], dtype=torch.float32)
    return Camera(K, width, height, T_scene_cam)


def fitted(camera: Camera, width: int, height: int) -> Camera:
    """Return the same lens on a picture of another size and shape: all that was seen is in the picture."""
    factor = min(width / camera.width, height / camera.height)
    K = camera.K.clone()
    K[:2] *= factor
    K[0, 2] = factor * (camera.K[0, 2] + 0.5) - 0.5 + (width - factor * camera.width) / 2
    K[1, 2] = factor * (camera.K[1, 2] + 0.5) - 0.5 + (height - factor * camera.height) / 2
    return replace(camera, K=K, width=width, height=height)


def look_at(
    eye: list[float], target: list[float], down: tuple[float, float, float] = (0.0, 1.0, 0.0)
) -> torch.Tensor:
    """Return [4, 4] T_scene_cam of a camera at `eye` that looks at `target`, its y axis towards `down`.

    Raises:
        InputError: both are the same point.
    """
    forward = np.asarray(target, np.float64) - np.asarray(eye, np.float64)
    if np.linalg.norm(forward) < 1e-9:
        raise InputError(
            "The camera's position and the point it looks at are the same.", "Change --eye or --look-at."
        )
    forward /= np.linalg.norm(forward)
    hint = np.asarray(down) if abs(forward @ np.asarray(down)) < 0.999 else np.array([0.0, 0.0, -1.0])
    right = np.cross(hint, forward)
    right /= np.linalg.norm(right)
    T = np.eye(4)
    T[:3, :3] = np.stack([right, np.cross(forward, right), forward], 1)
    T[:3, 3] = eye
    return torch.from_numpy(T).float()
