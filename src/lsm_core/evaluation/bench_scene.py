"""Two views of a small textured scene with known motion, for timing without any file."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.evaluation.pairs import EvalPair, EvalView
from lsm_core.geometry.se3 import invert, se3_exp

RgbImage = NDArray[np.uint8]
PLANES = ((4.0, (0.0, 1.0), (0.0, 1.0)), (2.6, (0.55, 0.9), (0.35, 1.0)), (2.0, (0.1, 0.35), (0.5, 1.0)))
ROOM = ((-2.0, -1.2, -1.0), (2.5, 1.3, 4.0))  # opposite corners, metres


def textured_pair(width: int = 640, height: int = 480, seed: int = 0) -> EvalPair:
    """Draw three textured planes facing the camera, seen from two places, through their exact homographies.

    Args:
        width, height: image size in pixels.
        seed: of the textures.
    """
    focal = 0.9 * width
    K = torch.tensor([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    T_cam0_cam1 = se3_exp(torch.tensor([0.25, 0.03, 0.1, 0.02, -0.06, 0.03], dtype=torch.float64))
    rng = np.random.default_rng(seed)
    images = [np.zeros((height, width, 3), np.uint8) for _ in range(2)]
    for z, columns, rows in PLANES:
        texture = _texture(rng, width, height)
        top, bottom = (round(r * height) for r in rows)
        left, right = (round(c * width) for c in columns)
        inside = np.zeros((height, width), np.uint8)
        inside[top:bottom, left:right] = 255
        for image, H in zip(images, (np.eye(3), _homography(K, T_cam0_cam1, z)), strict=True):
            warped = cv2.warpPerspective(texture, H, (width, height), borderMode=cv2.BORDER_REFLECT)
            mask = cv2.warpPerspective(inside, H, (width, height)) > 127
            image[mask] = warped[mask]
    views = (EvalView("left", images[0], K), EvalView("right", images[1], K))
    return EvalPair(views, T_cam0_cam1, overlap=0.85)


def _texture(rng: np.random.Generator, width: int, height: int) -> RgbImage:
    """Return noise with structure at several sizes, [height, width, 3]."""
    total = np.zeros((height, width, 3), np.float32)
    for cell in (8, 24, 96):
        noise = rng.uniform(0, 1, (height // cell + 2, width // cell + 2, 3)).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(total / 3, 0, 1) * 255, dtype=np.uint8)


def _homography(K: Tensor, T_cam0_cam1: Tensor, z: float) -> NDArray[np.float64]:
    """Return the [3, 3] map from view 0's to view 1's pixels of the plane z = const in camera 0."""
    T = invert(T_cam0_cam1)
    normal = torch.tensor([0.0, 0.0, 1.0 / z], dtype=torch.float64)
    H = K.double() @ (T[:3, :3] + torch.outer(T[:3, 3], normal)) @ torch.linalg.inv(K.double())
    return np.asarray(H.numpy())


def room_pointmaps(height: int, width: int) -> list[Tensor]:
    """Return what two cameras see of an empty room, [height, width, 3] each in camera 0's frame, metres.

    A network of random numbers gives points that fall into a few thousand voxels; those of rooms fall into tens of
    thousands, and the work behind them grows with that.
    """
    y, x = torch.meshgrid(torch.arange(float(height)), torch.arange(float(width)), indexing="ij")
    rays = torch.stack(((x - width / 2) / (0.9 * width), (y - height / 2) / (0.9 * width), torch.ones_like(x)), -1)
    low, high = (torch.tensor(corner) for corner in ROOM)
    maps = []
    for motion in ([0.0] * 6, [0.5, 0.0, 0.2, 0.0, 0.25, 0.0]):
        T_cam0_cam = se3_exp(torch.tensor(motion, dtype=torch.float64)).float()
        turned, position = rays @ T_cam0_cam[:3, :3].T, T_cam0_cam[:3, 3]
        reach = torch.maximum((low - position) / turned, (high - position) / turned).amin(-1, keepdim=True)
        maps.append(position + reach * turned)
    return maps
