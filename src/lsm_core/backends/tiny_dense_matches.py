"""Where each pixel of view 0 lies in view 1: dense flow of what the predicted depth and pose leave unexplained.

View 1 is warped onto view 0 by predicted depth and pose, which undoes most turn, change of size and parallax. Dense
inverse search (Kroeger et al. 2016, `cv2.DISOpticalFlow`) finds the rest, there and back. What does not return to
where it began is dropped; how well the image can be located at all is kept as its gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.tiny_grid import OUTPUT_STRIDE
from lsm_core.backends.tiny_residuals import Array

PATCH = 9  # side in px of the input grid over which gradients are averaged, about a patch of the search
TO_INPUT = np.array([[OUTPUT_STRIDE, 0, (OUTPUT_STRIDE - 1) / 2], [0, OUTPUT_STRIDE, (OUTPUT_STRIDE - 1) / 2]])


@dataclass(frozen=True)
class GridView:
    """A view on the network's grids: its picture on the input grid, its depth on the output grid (half the size).

    Attributes:
        grey: [2 h, 2 w].
        K: [3, 3] px of the output grid.
        depth: [h, w] predicted, > 0.
    """

    grey: NDArray[np.uint8]
    K: Array
    depth: Array

    @property
    def rays(self) -> Array:
        """[h, w, 3] with z = 1."""
        height, width = self.depth.shape
        y, x = np.mgrid[0:height, 0:width]
        return np.dstack(
            ((x - self.K[0, 2]) / self.K[0, 0], (y - self.K[1, 2]) / self.K[1, 1], np.ones((height, width)))
        )


@dataclass(frozen=True)
class DenseMatches:
    """Matches of view 0's output pixels, [h, w] each.

    Attributes:
        place: [h, w, 2] px of view 1's output grid.
        round_trip: px by which the search there and back misses its beginning.
        gradients: [h, w, 3] mean of gx gx, gy gy, gx gy around the pixel, grey levels per px of the input grid.
        inside: whether ``place`` lies in view 1.
    """

    place: Array
    round_trip: Array
    gradients: Array
    inside: NDArray[np.bool_]

    def texture_along(self, direction: Array) -> Array:
        """Return the mean squared gradient [h, w] along unit directions [h, w, 2] of view 0."""
        x, y = direction[..., 0], direction[..., 1]
        xx, yy, xy = np.moveaxis(self.gradients, -1, 0)
        return np.asarray(np.maximum(xx * x * x + yy * y * y + 2 * xy * x * y, 0.0))


def match_densely(first: GridView, second: GridView, T_1_0: Array) -> DenseMatches:
    """Find view 0's pixels in view 1, beginning where depth and pose put them.

    Args:
        first, second: the views, grids of one size.
        T_1_0: [4, 4] maps camera 0 to camera 1, in the unit of view 0's depth.
    """
    expected = _on_input_grid(expected_place(first, second.K, T_1_0))
    warped = _read(second.grey, OUTPUT_STRIDE * expected + (OUTPUT_STRIDE - 1) / 2)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    there = search.calc(first.grey, warped, None)  # type: ignore[call-overload]
    back = search.calc(warped, first.grey, None)  # type: ignore[call-overload]
    height, width = first.grey.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    found = np.stack((x, y), axis=-1) + there
    round_trip = np.linalg.norm(there + _read(back, found), axis=-1)
    place = _on_output_grid(_read(expected, found))
    low, high = np.zeros(2), np.array([width, height]) / OUTPUT_STRIDE - 1
    gx = cv2.Sobel(first.grey, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    gy = cv2.Sobel(first.grey, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    gradients = cv2.boxFilter(np.dstack((gx * gx, gy * gy, gx * gy)), -1, (PATCH, PATCH))
    return DenseMatches(
        place=place,
        round_trip=_on_output_grid(round_trip) / OUTPUT_STRIDE,
        gradients=_on_output_grid(gradients),
        inside=np.asarray(((place > low) & (place < high)).all(axis=-1)),
    )


def expected_place(first: GridView, K_1: Array, T_1_0: Array) -> Array:
    """Return [h, w, 2]: where depth and pose put each output pixel of view 0 on view 1's output grid."""
    moved = (first.rays * first.depth[..., None]) @ (K_1 @ T_1_0[:3, :3]).T + K_1 @ T_1_0[:3, 3]
    return np.asarray(moved[..., :2] / np.maximum(moved[..., 2:], 1e-3))


def _on_input_grid(values: Array) -> NDArray[np.float32]:
    """Interpolate [h, w, C] on the output grid to [2 h, 2 w, C] on the input grid."""
    height, width = values.shape[:2]
    size = (OUTPUT_STRIDE * width, OUTPUT_STRIDE * height)
    edge = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(values.astype(np.float32), TO_INPUT, size, borderMode=edge))


def _on_output_grid(values: NDArray[Any]) -> Array:
    """Average the input grid's pixels [2 h, 2 w, ...] under each pixel of the output grid."""
    height, width = values.shape[:2]
    size = (width // OUTPUT_STRIDE, height // OUTPUT_STRIDE)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float64)


def _read(image: NDArray[Any], place: NDArray[np.float32]) -> NDArray[Any]:
    """Read an image [H, W, ...] at pixels [..., 2] between its own."""
    x, y = np.ascontiguousarray(place[..., 0]), np.ascontiguousarray(place[..., 1])
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
