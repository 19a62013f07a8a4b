"""Robust statistics: weighted median, ratio of two depth maps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.geometry.median import lower_weighted_median

FloatMap = NDArray[np.float32]
MAD_TO_STD = 1.4826  # of a normal distribution


def depth_ratio(
    target: FloatMap, source: FloatMap, weight: NDArray[Any], min_pixels: int = 1
) -> tuple[float, float, int]:
    """Return the weighted median of target / source, the robust spread of its logarithm, and the pixels used.

    Args:
        target, source: [h, w] depths; pixels where either is not finite or <= 0 are left out.
        weight: [h, w] >= 0.
        min_pixels: with fewer pixels the ratio and spread are NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        valid = np.isfinite(target) & np.isfinite(source) & (target > 0) & (source > 0) & (weight > 0)
        valid &= np.isfinite(weight)
    log_ratio = np.log(target[valid].astype(np.float64)) - np.log(source[valid].astype(np.float64))
    if log_ratio.size < max(1, min_pixels):
        return math.nan, math.nan, int(log_ratio.size)
    order = np.argsort(log_ratio)  # once: a stable sort of what is in order, or in two runs, takes no time
    log_ratio, w = log_ratio[order], weight[valid].astype(np.float64)[order]
    median = lower_weighted_median(log_ratio, w)
    spread = MAD_TO_STD * lower_weighted_median(np.abs(log_ratio - median), w)
    # Outliers on one side push the median towards them; without them it is taken once more.
    near = np.abs(log_ratio - median) <= 3 * spread
    return math.exp(lower_weighted_median(log_ratio[near], w[near])), spread, int(log_ratio.size)
