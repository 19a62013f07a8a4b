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
BLUR = 9  # pixels of the mean that sharpness blurs with
NOISE = 2  # grey levels that neighbours differ by without any detail: sensor noise, rounding
LEAST_DETAIL = 0.05  # grey levels per pixel beyond that below which an image shows nothing


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
    limits = config or FrameCheckConfig()
    mean, std = (float(value[0, 0]) for value in cv2.meanStdDev(gray))
    detail = sharpness(gray)
    usable = previous if previous is not None and previous.shape == gray.shape else None
    change = None if usable is None else np.asarray(cv2.absdiff(gray, usable), np.uint8)
    if std < limits.min_std:
        reason = BLANK
    elif np.count_nonzero(gray >= 253) > limits.max_clipped * gray.size:
        reason = SATURATED
    elif change is not None and not cv2.hasNonZero(change):
        reason = FROZEN
    elif _torn(gray, change, max(4, round(limits.min_torn_rows * gray.shape[0]))):
        reason = TORN
    elif detail < limits.min_sharpness:
        reason = BLURRED
    else:
        reason = ""
    return FrameVerdict(not reason, reason, detail, mean, std)


def sharpness(gray: NDArray[np.uint8]) -> float:
    """Return how much fine detail an image has, in [0, 1]: 1 sharp, towards 0 blurred.

    One minus the blur effect of Crete et al. 2007 (doi:10.1117/12.702790): the share of neighbour differences that
    vanishes when the image is blurred once more. It does not depend on contrast. Differences count from where noise
    ends, so a picture without any detail is not sharp because of its noise.
    """
    return min(_kept_share(gray, axis) for axis in (0, 1))


def _kept_share(gray: NDArray[np.uint8], axis: int) -> float:
    """Return the share of neighbour differences along an axis that a mean over `BLUR` pixels takes away.

    The difference of two neighbouring means of n pixels is that of the pixels at their far ends, over n.
    """
    half = BLUR // 2
    pad = (half, half, 0, 0) if axis == 0 else (0, 0, half, half)
    wide = np.asarray(cv2.copyMakeBorder(gray, *pad, cv2.BORDER_REFLECT_101), np.uint8)
    if axis == 0:
        fine, coarse = cv2.absdiff(gray[1:], gray[:-1]), cv2.absdiff(wide[BLUR:], wide[:-BLUR])
    else:
        fine, coarse = cv2.absdiff(gray[:, 1:], gray[:, :-1]), cv2.absdiff(wide[:, BLUR:], wide[:, :-BLUR])
    fine = cv2.subtract(fine, np.full_like(fine, NOISE))
    total = max(float(cv2.sumElems(fine)[0]), LEAST_DETAIL * fine.size)
    lost = cv2.addWeighted(fine, BLUR, coarse, -1.0, 0.0, dtype=cv2.CV_16U)  # negative ones become 0
    return float(cv2.sumElems(lost)[0]) / (BLUR * total)


def _torn(gray: NDArray[np.uint8], change: NDArray[np.uint8] | None, min_rows: int) -> bool:
    """Tell whether the lower rows were not transferred: one constant filling, or still those of the last frame.

    Args:
        gray: [h, w].
        change: [h, w] absolute difference from the frame before, None without one.
        min_rows: fewer rows do not count.
    """
    flat = gray.max(axis=1).astype(int) - gray.min(axis=1) <= 1
    bottom = _run_from_bottom(flat & (np.abs(gray[:, 0].astype(int) - int(gray[-1, 0])) <= 1))
    top = _run_from_bottom(flat[::-1])
    if min_rows <= bottom < gray.shape[0] and top < bottom // 2:  # a letter-boxed picture has both bars
        return True
    if change is None:
        return False
    stale = _run_from_bottom(change.max(axis=1) == 0)
    if not min_rows <= stale < gray.shape[0]:
        return False
    # A still camera may see one thing move at the top; a new frame differs nearly everywhere by noise or motion.
    above = change[: gray.shape[0] - stale]
    return int(np.count_nonzero(above)) > 0.5 * above.size


def _run_from_bottom(rows: NDArray[np.bool_]) -> int:
    """Return how many rows, counted from the last, are True without a gap."""
    return int(np.argmin(rows[::-1])) if not rows.all() else len(rows)
