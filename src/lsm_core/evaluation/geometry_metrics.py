"""How well two clouds cover each other: accuracy, completeness, and the share of points within a distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from lsm_core.errors import InputError

THRESHOLD_M = 0.05


@dataclass(frozen=True)
class CloudError:
    """Distances to the nearest point of the other cloud, in the unit of the clouds.

    Attributes:
        accuracy_mean, accuracy_median: from predicted points to true ones: is what is claimed there?
        completeness_mean, completeness_median: from true points to predicted ones: is what is there found?
        precision, recall: shares of predicted and of true points that are nearer than the threshold.
        predicted, true: number of points.
    """

    accuracy_mean: float
    accuracy_median: float
    completeness_mean: float
    completeness_median: float
    precision: float
    recall: float
    predicted: int
    true: int

    @property
    def chamfer(self) -> float:
        """Mean of both mean distances."""
        return (self.accuracy_mean + self.completeness_mean) / 2

    @property
    def f_score(self) -> float:
        """Harmonic mean of precision and recall, 0 where both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


def cloud_error(
    predicted: NDArray[np.floating], true: NDArray[np.floating], threshold: float = THRESHOLD_M
) -> CloudError:
    """Compare two clouds [N, 3] and [M, 3] in one frame and unit; points that are not finite do not count.

    Args:
        predicted, true: the clouds.
        threshold: distance below which a point counts as found.

    Raises:
        InputError: a cloud has another shape, or no finite point.
    """
    clouds = [_finite(cloud) for cloud in (predicted, true)]
    ours, theirs = clouds
    there = np.asarray(cKDTree(theirs).query(ours)[0])
    back = np.asarray(cKDTree(ours).query(theirs)[0])
    return CloudError(
        accuracy_mean=float(there.mean()),
        accuracy_median=float(np.median(there)),
        completeness_mean=float(back.mean()),
        completeness_median=float(np.median(back)),
        precision=float((there < threshold).mean()),
        recall=float((back < threshold).mean()),
        predicted=len(ours),
        true=len(theirs),
    )


def _finite(cloud: NDArray[np.floating]) -> NDArray[np.float64]:
    points = np.asarray(cloud, np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise InputError(f"A cloud must be [N, 3], got {points.shape}.")
    kept = points[np.isfinite(points).all(1)]
    if not len(kept):
        raise InputError("A cloud to be compared has no finite point.")
    return kept
