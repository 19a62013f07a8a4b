"""The weighted median, the one robust mean of this library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def lower_weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """Return the value at which half of the total weight is reached (lower one of two middle values).

    Args:
        values: [N] finite, N >= 1.
        weights: [N] >= 0, not all zero.
    """
    order = np.argsort(values, kind="stable")
    cumulated = np.cumsum(weights[order])
    return float(values[order[np.searchsorted(cumulated, 0.5 * cumulated[-1])]])
