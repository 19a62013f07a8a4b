"""Masks, label images, overlays, label tables and detections."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import LabelInfo, VisionClass

from lsm_perception.conversions.images import image_message
from lsm_perception.source_image import Rgb

UNLABELLED = 255


def label_message(labels: NDArray[np.int32], header: Header) -> Image:
    """Return labels (-1 for none) as mono8, 255 for none."""
    return image_message(np.where(labels < 0, UNLABELLED, labels).astype(np.uint8), "mono8", header)


def score_message(scores: NDArray[np.float32], header: Header) -> Image:
    """Return scores as 32FC1."""
    return image_message(scores.astype(np.float32), "32FC1", header)


def mask_message(mask: NDArray[np.bool_], header: Header) -> Image:
    """Return a mask as mono8, 255 where it is set."""
    return image_message(mask.astype(np.uint8) * 255, "mono8", header)


def palette(count: int) -> NDArray[np.uint8]:
    """Return `count` colours [count, 3] RGB that are easy to tell apart; the same for any larger count."""
    golden = 0.618033988749895
    colours = [colorsys.hsv_to_rgb((0.02 + i * golden) % 1.0, 0.65 + 0.3 * (i % 2), 0.95) for i in range(count)]
    return np.round(np.asarray(colours, np.float64).reshape(-1, 3) * 255).astype(np.uint8)


def overlay(rgb: Rgb, labels: NDArray[np.int32], count: int, opacity: float = 0.5) -> Rgb:
    """Return the image with each label's colour mixed in; pixels without a label keep theirs."""
    out = rgb.copy()
    chosen = labels >= 0
    colours = palette(count)[labels[chosen]].astype(np.float32)
    out[chosen] = np.round((1 - opacity) * out[chosen] + opacity * colours).astype(np.uint8)
    return out


def label_info_message(texts: Sequence[str], threshold: float, header: Header) -> LabelInfo:
    """Return the table from label to text; 255 is "unlabelled"."""
    classes = [VisionClass(class_id=i, class_name=text) for i, text in enumerate(texts)]
    classes.append(VisionClass(class_id=UNLABELLED, class_name="unlabelled"))
    return LabelInfo(header=header, class_map=classes, threshold=float(threshold))
