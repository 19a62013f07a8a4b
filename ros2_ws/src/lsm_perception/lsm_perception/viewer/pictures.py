"""Small pictures for the panel: thumbnails, and masks drawn into them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_perception.conversions.semantics import UNLABELLED, overlay
from lsm_perception.viewer.records import Answer, Rgb

THUMBNAIL_WIDTH = 480
EMPTY = np.full((9, 16, 3), 40, np.uint8)  # shown where there is no picture yet


def thumbnail(rgb: Rgb) -> Rgb:
    """Return a picture [H, W, 3] at most `THUMBNAIL_WIDTH` wide."""
    height, width = rgb.shape[:2]
    if width <= THUMBNAIL_WIDTH:
        return np.ascontiguousarray(rgb)
    size = (THUMBNAIL_WIDTH, max(1, round(height * THUMBNAIL_WIDTH / width)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def depth_picture(depth: NDArray[np.float32]) -> Rgb:
    """Return depth [H, W] in colours, near ones warm; black where there is none."""
    known = np.isfinite(depth) & (depth > 0)
    if not known.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    near, far = np.percentile(depth[known], (2, 98))
    share = np.clip((far - np.where(known, depth, far)) / max(far - near, 1e-9), 0, 1)
    colours = cv2.applyColorMap(np.rint(255 * share).astype(np.uint8), cv2.COLORMAP_TURBO)[..., ::-1]
    return np.where(known[..., None], colours, 0).astype(np.uint8)


def answer_picture(answer: Answer, picture: Rgb | None) -> Rgb:
    """Return the masks of an answer over the picture of its keyframe, or over grey where there is none."""
    labels: NDArray[np.uint8] = answer.labels
    if picture is None:
        picture = thumbnail(np.full((*labels.shape, 3), 90, np.uint8))
    height, width = picture.shape[:2]
    small = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.int32)
    return overlay(picture, np.where(small == UNLABELLED, -1, small), len(answer.texts), opacity=0.6)
