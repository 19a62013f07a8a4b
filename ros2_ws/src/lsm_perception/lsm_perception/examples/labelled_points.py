"""Label image and depth image to points: every pixel of the camera's own image gets the metres it shows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_perception.calibration import Calibration

MAX_PIXELS = 400_000  # of a label image that are looked at; of larger ones every second, third ... row and column


@dataclass(frozen=True, eq=False)
class LabelledPixels:
    """Where the pixels of a label image are on the depth image and in space.

    `~/segmentation/label` has the camera's own pixels, its lens included; `~/depth/image` has the model's smaller,
    undistorted grid. What both share is the ray of a pixel.

    Attributes:
        source: calibration of the camera's images, K known.
        K_depth: [3, 3] of `~/depth/camera_info`.
        depth_size: (height, width) of the depth image.
    """

    source: Calibration
    K_depth: NDArray[np.float64]
    depth_size: tuple[int, int]

    def fits(self, source: Calibration, K_depth: NDArray[Any], depth_size: tuple[int, int]) -> bool:
        """Whether this was made of these."""
        return (
            self.source.same_as(source)
            and np.array_equal(self.K_depth, K_depth)
            and self.depth_size == tuple(depth_size)
        )

    def points(
        self, labels: NDArray[np.uint8], depth: NDArray[np.float32], max_depth_m: float
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Return the points of all pixels with depth.

        Args:
            labels: [H, W] of the camera's image.
            depth: [h, w] metres along the optical axis, NaN for none.
            max_depth_m: points further away are left out.

        Returns:
            Points [N, 3] in the camera's optical frame, metres, and their labels [N].
        """
        rays, cells = self._rays_and_cells
        metres = np.where(cells >= 0, depth.reshape(-1)[cells], np.float32(np.nan))
        with np.errstate(invalid="ignore"):
            seen = np.flatnonzero((metres > 0) & (metres <= max_depth_m))
        z = metres[seen]
        points = np.empty((len(seen), 3), np.float32)
        points[:, :2], points[:, 2] = rays[seen] * z[:, None], z
        return points, self._thin(labels).reshape(-1)[seen]

    @property
    def step(self) -> int:
        """Every how many-th row and column is looked at."""
        return max(1, math.ceil(math.sqrt(self.source.width * self.source.height / MAX_PIXELS)))

    def _thin(self, values: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(values[:: self.step, :: self.step])

    @cached_property
    def _rays_and_cells(self) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Rays [P, 2] (x/z, y/z) of the pixels looked at, and the depth pixel [P] each falls on, -1 for none."""
        assert self.source.K is not None
        y, x = np.mgrid[: self.source.height : self.step, : self.source.width : self.step].astype(np.float64)
        pixels = np.stack([x.ravel(), y.ravel()], -1)[:, None]
        rays = np.asarray(cv2.undistortPoints(pixels, self.source.K, self.source.distortion)).reshape(-1, 2)
        height, width = self.depth_size
        fx, cx, fy, cy = self.K_depth[0, 0], self.K_depth[0, 2], self.K_depth[1, 1], self.K_depth[1, 2]
        column = np.floor(fx * rays[:, 0] + cx + 0.5).astype(np.int64)
        row = np.floor(fy * rays[:, 1] + cy + 0.5).astype(np.int64)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        return rays.astype(np.float32), np.where(inside, row * width + column, -1)
