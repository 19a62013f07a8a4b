"""Masks drawn over the image they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.io.colormaps import RgbImage, palette


def overlay_labels(image: RgbImage, labels: NDArray[Any], count: int, strength: float = 0.55) -> RgbImage:
    """Tint each labelled region with its palette colour and outline it.

    Args:
        image: [H, W, 3] uint8 RGB.
        labels: [H, W] integers; 0 to count - 1 are labels, anything else is left as it is (dimmed a little).
        count: number of labels, the size of the palette.
        strength: share of the tint, 0 to 1.

    Returns:
        [H, W, 3] uint8 RGB.

    Raises:
        InputError: image and labels differ in size.
    """
    if labels.shape != image.shape[:2]:
        raise InputError(f"The labels {labels.shape} are not of the image's size {image.shape[:2]}.")
    colours = palette(count)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    out = (0.55 * image + 0.35 * grey).astype(np.float32)
    for index in range(count):
        mask = labels == index
        out[mask] = (1 - strength) * image[mask] + strength * colours[index]
    canvas: RgbImage = np.ascontiguousarray(np.clip(out, 0, 255), np.uint8)  # whatever the image's layout
    for index in range(count):
        outlines, _ = cv2.findContours((labels == index).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, outlines, -1, [int(c) for c in colours[index]], 1, cv2.LINE_AA)
    return canvas


def labels_of_masks(
    masks: Sequence[NDArray[Any]], scores: Sequence[NDArray[Any]] | None = None
) -> NDArray[np.int32]:
    """Return [H, W] int32: the mask that holds at each pixel (of several the best score, or the last), else -1."""
    stacked = np.stack([np.asarray(m, bool) for m in masks])
    rank = (
        np.stack(scores) if scores is not None else np.arange(len(masks))[:, None, None] + np.zeros(stacked.shape)
    )
    best = np.argmax(np.where(stacked, rank, -np.inf), 0)
    return np.where(stacked.any(0), best, -1).astype(np.int32)
