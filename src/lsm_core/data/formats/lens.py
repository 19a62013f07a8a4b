"""Taking lens distortion out of pictures, and of depth and labels that are registered to them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FISHEYE = ("equidistant", "fisheye")


@dataclass(frozen=True, eq=False)
class Lens:
    """A camera with distortion; straightened images keep its K.

    Attributes:
        K: [3, 3] pixels.
        coefficients: OpenCV's, k1 k2 p1 p2 k3 ...; for fisheye models k1 to k4.
        size: (width, height).
        model: ROS name of the model.
    """

    K: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    size: tuple[int, int]
    model: str = "plumb_bob"

    @cached_property
    def _maps(self) -> tuple[Any, Any]:
        if self.model in FISHEYE:
            D = self.coefficients[:4]
            return cv2.fisheye.initUndistortRectifyMap(self.K, D, np.eye(3), self.K, self.size, cv2.CV_32FC1)
        return cv2.initUndistortRectifyMap(self.K, self.coefficients, np.eye(3), self.K, self.size, cv2.CV_32FC1)

    def straighten(self, image: NDArray[Any], smooth: bool) -> NDArray[Any]:
        """Return an image without distortion; what lies outside is 0.

        Args:
            image: [H, W] or [H, W, 3] of this size.
            smooth: interpolate (colours); else take the nearest pixel (depth, labels).
        """
        if image.dtype == np.int32:  # OpenCV does not remap it; labels fit into 16 bits
            return self.straighten(image.astype(np.uint16), smooth).astype(np.int32)
        method = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
        return np.asarray(cv2.remap(image, *self._maps, method))
