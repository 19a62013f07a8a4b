"""Colours for depth, confidence and labels."""

from __future__ import annotations

import colorsys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.uint8]
NOTHING = (34, 36, 40)  # where there is no value


_DISTINCT = (
    (64, 132, 244), (250, 150, 30), (225, 45, 95), (40, 190, 115), (150, 90, 230), (250, 212, 20),
    (10, 185, 210), (150, 92, 45), (252, 120, 175), (130, 150, 35), (70, 80, 130), (200, 205, 160),
)  # fmt: skip


def palette(count: int) -> NDArray[np.uint8]:
    """Return [count, 3] uint8 RGB, easy to tell apart; the first twelve are picked by hand."""
    colours = [list(colour) for colour in _DISTINCT[:count]]
    for i in range(len(_DISTINCT), count):
        value, saturation = (0.95, 0.6) if i % 2 == 0 else (0.6, 0.9)
        colours.append([round(255 * c) for c in colorsys.hsv_to_rgb(i * 0.61803398875 % 1.0, saturation, value)])
    return np.array(colours, np.uint8).reshape(count, 3)


def color_depth(depth: NDArray[Any], nearest: float | None = None, farthest: float | None = None) -> RgbImage:
    """Colour z-depth [H, W], near red to far blue on an inverse scale; invalid pixels are dark.

    Args:
        depth: scene units; not finite or not positive is invalid.
        nearest, farthest: ends of the scale; by default the 2nd and 98th percentile of the valid depths.

    Returns:
        [H, W, 3] uint8 RGB.
    """
    valid = np.isfinite(depth) & (depth > 0)
    if not valid.any():
        return np.full((*depth.shape, 3), NOTHING, np.uint8)
    near = float(np.percentile(depth[valid], 2)) if nearest is None else nearest
    far = float(np.percentile(depth[valid], 98)) if farthest is None else farthest
    inverse = 1.0 / np.clip(np.where(valid, depth, far), 1e-9, None)
    return _apply(_stretch(inverse, 1.0 / max(far, near * 1.001), 1.0 / near), valid, cv2.COLORMAP_TURBO)


def color_confidence(confidence: NDArray[Any]) -> RgbImage:
    """Colour positive confidence [H, W] on a logarithmic scale, low violet to high yellow; [H, W, 3] uint8."""
    valid = np.isfinite(confidence) & (confidence > 0)
    logs = np.log(np.where(valid, confidence, 1.0))
    low, high = np.percentile(logs[valid], (1, 99)) if valid.any() else (0.0, 1.0)
    return _apply(_stretch(logs, float(low), float(high)), valid, cv2.COLORMAP_VIRIDIS)


def color_share(values: NDArray[Any]) -> RgbImage:
    """Colour values from 0 (dark violet) to 1 (pale yellow), [H, W] to [H, W, 3] uint8; not finite is dark."""
    valid = np.isfinite(values)
    return _apply(_stretch(np.where(valid, values, 0.0), 0.0, 1.0), valid, cv2.COLORMAP_INFERNO)


def _stretch(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map [low, high] to 0 to 255."""
    return (255 * np.clip((values - low) / max(high - low, 1e-12), 0, 1)).astype(np.uint8)


def _apply(values: NDArray[np.uint8], valid: NDArray[np.bool_], colormap: int) -> RgbImage:
    """Look values up in an OpenCV colour map."""
    coloured = cv2.cvtColor(cv2.applyColorMap(values, colormap), cv2.COLOR_BGR2RGB)
    return np.where(valid[..., None], coloured, np.array(NOTHING, np.uint8)).astype(np.uint8)
