"""Segment units and metres: which is in force, and poses and covariances in another unit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping import ScaleEstimate, ScaleState
from lsm_perception.products import Matrix


def is_metric(scale: ScaleEstimate) -> bool:
    """Whether metric products may be published."""
    return scale.state is ScaleState.METRIC


def metres(scale: ScaleEstimate) -> float:
    """Return the factor from segment units to the unit in force: metres when METRIC, 1 otherwise."""
    return scale.metres_per_unit if is_metric(scale) else 1.0


def scaled_pose(T: NDArray[np.floating], scale: float) -> Matrix:
    """Return a rigid pose with its translation in another unit."""
    out = np.asarray(T, np.float64).copy()
    out[:3, 3] *= scale
    return out


def scaled_covariance(covariance: Matrix, scale: float) -> Matrix:
    """Return a 6x6 pose covariance with its translation in another unit; "unknown" stays as it is."""
    if covariance[0, 0] < 0:
        return covariance
    factor = np.array([scale, scale, scale, 1.0, 1.0, 1.0])
    return covariance * factor[:, None] * factor[None]
