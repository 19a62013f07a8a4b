"""Refuse frames that cannot help: blank, saturated, blurred, frozen or torn."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

BLANK = "blank"
SATURATED = "saturated"
BLURRED = "blurred"
FROZEN = "frozen"
TORN = "torn"


@dataclass(frozen=True)
class FrameCheckConfig:
    """Limits of the checks, on the 0 to 255 grey scale of the reduced image.

    Attributes:
        min_std: below this standard deviation an image is blank (lens cap, dead sensor, bare constant).
        max_clipped: above this share of pixels at 253 or more an image is saturated.
        min_sharpness: below this `sharpness` an image is blurred.
        min_torn_rows: share of the rows from the bottom that must be constant or stale for a torn image.
    """

    min_std: float = 4.0
    max_clipped: float = 0.6
    min_sharpness: float = 0.25
    min_torn_rows: float = 0.1


@dataclass(frozen=True)
class FrameVerdict:
    """Outcome of the checks of one frame.

    Attributes:
        ok: whether the frame can be used.
        reason: empty when ok, else BLANK, SATURATED, BLURRED, FROZEN or TORN.
        blur: `sharpness` of the frame in [0, 1]: 1 sharp, towards 0 blurred.
        mean, std: grey level statistics, 0 to 255.
    """

    ok: bool
    reason: str
    blur: float
    mean: float
    std: float


def check_frame(
    gray: NDArray[np.uint8],
    previous: NDArray[np.uint8] | None = None,
    config: FrameCheckConfig | None = None,
) -> FrameVerdict:
    """Check one frame.

    Args:
        gray: [h, w] uint8 from `small_gray`.
        previous: the frame before it (used or not), same size, or None; another size is ignored.
        config: limits; None for the defaults.

    Returns:
        The verdict with the first reason that applies, in the order blank, saturated, frozen, torn, blurred.
    """
    raise NotImplementedError


def sharpness(gray: NDArray[np.uint8]) -> float:
    """Return how much fine detail an image has, in [0, 1]: 1 sharp, towards 0 blurred.

    One minus the blur effect of Crete et al. 2007 (doi:10.1117/12.702790): the share of neighbour differences that
    vanishes when the image is blurred once more. It does not depend on contrast.
    """
    raise NotImplementedError
