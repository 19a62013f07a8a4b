"""What is known of a camera's lens: intrinsics for the model, and the way back to the source's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_perception.source_image import Rgb


@dataclass(frozen=True, eq=False)
class Calibration:
    """Intrinsics and distortion of the images as they arrive (ROI and binning applied).

    Attributes:
        width, height: size of the images, pixels.
        K: [3, 3] float64 in their pixels, pixel (0, 0) the centre of the top-left one; None when unknown, then
            the model estimates it.
        distortion: [N] OpenCV coefficients (plumb_bob or rational_polynomial), all zero for a rectified image.
    """

    width: int
    height: int
    K: NDArray[np.float64] | None = None
    distortion: NDArray[np.float64] | None = None

    @property
    def distorted(self) -> bool:
        """Whether images must be undistorted for the model."""
        return self.K is not None and self.distortion is not None and bool(np.any(self.distortion))

    def same_as(self, other: Calibration) -> bool:
        """Whether two calibrations are equal in every number."""
        return (
            (self.width, self.height) == (other.width, other.height)
            and _equal(self.K, other.K)
            and _equal(self.distortion, other.distortion)
        )

    def undistort(self, image: Rgb) -> Rgb:
        """Return the image a pinhole camera with the same K would take; the image itself when not distorted."""
        if not self.distorted:
            return image
        map_x, map_y = self._to_source
        return np.asarray(cv2.remap(image, map_x, map_y, cv2.INTER_LINEAR), np.uint8)

    def undistort_depth(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return depth [height, width] on the undistorted grid, by the nearest value; NaN outside."""
        if not self.distorted:
            return depth
        map_x, map_y = self._to_source
        moved = cv2.remap(
            depth, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(float("nan"),)
        )
        return np.asarray(moved, np.float32)

    def undistort_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask [height, width] on the undistorted grid, by the nearest value; False outside."""
        if not self.distorted:
            return mask
        map_x, map_y = self._to_source
        return np.asarray(cv2.remap(mask.astype(np.uint8), map_x, map_y, cv2.INTER_NEAREST), np.uint8) > 0

    def to_source(self, values: NDArray[Any], outside: float) -> NDArray[Any]:
        """Bring an array on the undistorted grid back to the source's pixels, by the nearest value.

        Args:
            values: [height, width] of any dtype OpenCV remaps (uint8, int16, float32); bool and int32 are handled.
            outside: value where the undistorted image does not reach.
        """
        if not self.distorted:
            return values
        map_x, map_y = self._from_source
        plain = values.astype(np.float32) if values.dtype not in (np.uint8, np.float32) else values
        moved = cv2.remap(
            plain, map_x, map_y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(float(outside),)
        )
        return np.asarray(moved).astype(values.dtype)

    @cached_property
    def _to_source(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """For each undistorted pixel, where it is in the source."""
        assert self.K is not None and self.distortion is not None
        maps = cv2.initUndistortRectifyMap(
            self.K, self.distortion, np.eye(3), self.K, (self.width, self.height), cv2.CV_32FC1
        )
        return np.asarray(maps[0], np.float32), np.asarray(maps[1], np.float32)

    @cached_property
    def _from_source(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """For each source pixel, where it is in the undistorted image."""
        assert self.K is not None
        x, y = np.meshgrid(np.arange(self.width, dtype=np.float64), np.arange(self.height, dtype=np.float64))
        pixels = np.stack([x.ravel(), y.ravel()], -1)[:, None]
        ideal = np.asarray(cv2.undistortPoints(pixels, self.K, self.distortion, P=self.K), np.float32)
        ideal = ideal.reshape(self.height, self.width, 2)
        return np.ascontiguousarray(ideal[..., 0]), np.ascontiguousarray(ideal[..., 1])


def _equal(a: NDArray[np.float64] | None, b: NDArray[np.float64] | None) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))
