"""Two images of noise with a made-up depth, pose and labels; what a fitted network then knows of them."""

from __future__ import annotations

import cv2
import numpy as np
from fitted_checkpoints import KnownView

WIDTH, HEIGHT = 320, 240
CLASSES = ("wall", "floor", "chair")
K = np.array([[260.0, 0.0, 159.5], [0.0, 260.0, 119.5], [0.0, 0.0, 1.0]])
T_CAM0_CAM1 = np.array([[0.995, 0, 0.0998, 0.3], [0, 1, 0, 0.02], [-0.0998, 0, 0.995, -0.05], [0, 0, 0, 1.0]])


def known_pair() -> list[KnownView]:
    """Return two views: left half a wall, right half a floor, a chair at the bottom of both."""
    label = np.zeros((HEIGHT, WIDTH), np.int32)
    label[:, WIDTH // 2 :] = 1
    label[180:, 60:260] = 2
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    views = []
    for seed, T in ((0, np.eye(4)), (1, T_CAM0_CAM1)):
        noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
        rgb = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        depth = (2.0 + 0.5 * np.sin(x / 60 + seed) + 0.3 * np.cos(y / 50)).astype(np.float32)
        views.append(KnownView(np.ascontiguousarray(rgb), depth, label, T, K))
    return views
