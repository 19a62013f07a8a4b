"""What two images can say of geometry before any model looks at them: nothing, one view, or two."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from lsm_core.backends.base import Image

SMALL = 64  # pixels of the long edge that is looked at: the noise of a sensor averages out
BLANK_STD = 1.0  # of 255; less is a covered lens, a dark room, a saturated sensor

PairContent = Literal["two views", "one view", "blank"]


def pair_content(first: Image, second: Image) -> PairContent:
    """Say whether a pair shows anything, and whether it is the same image twice.

    A model that was trained on pairs answers any pair with some geometry. A blank image supports none, and the same
    pixels twice are one camera.

    Args:
        first, second: [H, W, 3] uint8 RGB.
    """
    if is_blank(first) or is_blank(second):
        return "blank"
    return "one view" if first is second or np.array_equal(first, second) else "two views"


def is_blank(image: Image) -> bool:
    """Return whether an image [H, W, 3] uint8 shows nothing but one colour, give or take the noise of a sensor."""
    height, width = image.shape[:2]
    scale = min(1.0, SMALL / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return bool((small.std(axis=(0, 1)) < BLANK_STD).all())
