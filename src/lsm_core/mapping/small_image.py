"""The reduced grey image that frame checks and keyframe selection work on."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError

MAX_WIDTH = 320


def small_gray(image: NDArray[np.uint8], max_width: int = MAX_WIDTH) -> NDArray[np.uint8]:
    """Reduce an image to at most `max_width` columns of grey, averaging pixels.

    Args:
        image: [H, W, 3] uint8 RGB or [H, W] uint8 grey.
        max_width: largest width of the result in pixels; a narrower image keeps its size.

    Returns:
        [h, w] uint8 with the aspect ratio of the image.

    Raises:
        InputError: not a uint8 image, or a side below 16 pixels.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise InputError("An image must be a uint8 array [H, W, 3] or [H, W].")
    height, width = image.shape[:2]
    if min(height, width) < 16:
        raise InputError(f"Image size {width}x{height} is below 16 pixels.")
    scale = min(1.0, max_width / width)
    size = (round(width * scale), max(16, round(height * scale)))
    gray = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if image.ndim == 3 else image, np.uint8)
    # Exact halves are a hundred times faster than averaging over areas of any other size.
    while gray.shape[1] >= 2 * size[0] and not (gray.shape[0] % 2 or gray.shape[1] % 2):
        gray = halved(gray)
    if gray.shape[::-1] != size:
        gray = np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.ascontiguousarray(gray)


def halved(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the means of 2x2 pixels [h / 2, w / 2] of an image with even sides [h, w]."""
    size = (gray.shape[1] // 2, gray.shape[0] // 2)
    return np.asarray(cv2.resize(gray, size, interpolation=cv2.INTER_AREA), np.uint8)


def small_intrinsics(K: NDArray[Any], image_size: tuple[int, int], gray: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Bring intrinsics to the pixel grid of the reduced image.

    Args:
        K: [3, 3] in pixels of the full image.
        image_size: (height, width) of the full image.
        gray: [h, w], from `small_gray`.

    Returns:
        [3, 3] float64 in pixels of `gray`.
    """
    sy, sx = gray.shape[0] / image_size[0], gray.shape[1] / image_size[1]
    S = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    return S @ np.asarray(K, dtype=np.float64)
