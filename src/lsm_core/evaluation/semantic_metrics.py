"""Pixel accuracy and intersection over union from a confusion matrix that grows image by image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.evaluation.switches import Average


class Confusion:
    """Counts of (true class, predicted class) pixels.

    Args:
        names: the C class names; ids are 0 .. C - 1.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.counts: NDArray[np.int64] = np.zeros((len(names), len(names)), np.int64)

    def add(self, true: NDArray[np.integer], predicted: NDArray[np.integer]) -> None:
        """Count the pixels of one image; pixels whose true id is negative are left out.

        Raises:
            InputError: shapes differ or an id is out of range.
        """
        if true.shape != predicted.shape:
            raise InputError(f"Label maps differ in shape: {true.shape} and {predicted.shape}.")
        labelled = true >= 0
        t, p = true[labelled].astype(np.int64), predicted[labelled].astype(np.int64)
        count = len(self.names)
        if t.size and (t.max() >= count or p.min() < 0 or p.max() >= count):
            raise InputError(f"A label is outside the {count} classes.")
        self.counts += np.bincount(t * count + p, minlength=count * count).reshape(count, count)

    @property
    def pixels(self) -> int:
        """Number of labelled pixels counted."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of labelled pixels with the right class; NaN without any."""
        return float(np.trace(self.counts) / self.pixels) if self.pixels else float("nan")

    @property
    def majority_share(self) -> float:
        """Accuracy of always answering the most frequent class; NaN without pixels."""
        return float(self.counts.sum(1).max() / self.pixels) if self.pixels else float("nan")

    def iou(self) -> dict[str, float]:
        """Return the intersection over union of each class that occurs in the truth."""
        hits = np.diag(self.counts)
        true, predicted = self.counts.sum(1), self.counts.sum(0)
        union = true + predicted - hits
        return {n: float(hits[i] / union[i]) for i, n in enumerate(self.names) if true[i] > 0}

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes that occur in the truth; NaN without any."""
        values = list(self.iou().values())
        return float(np.mean(values)) if values else float("nan")

    def jaccard(self, average: Average = "macro") -> float:
        """Return the Jaccard index as torchmetrics' `JaccardIndex` gives it over all that was counted.

        Unlike `mean_iou`, "macro" is the mean over the classes that occur in the truth or in a prediction, so that
        a class that is claimed and never there counts as 0; "micro" is over pixels. NaN without pixels.
        """
        hits = np.diag(self.counts)
        union = self.counts.sum(1) + self.counts.sum(0) - hits
        if not self.pixels:
            return float("nan")
        if average == "micro":
            return float(hits.sum() / union.sum())
        return float(np.mean(hits[union > 0] / union[union > 0]))

    def averaged_accuracy(self, average: Average = "micro") -> float:
        """Return the accuracy as torchmetrics' `Accuracy` gives it: over pixels, or the mean over classes.

        Classes are those of `jaccard`. NaN without pixels.
        """
        if average == "micro" or not self.pixels:
            return self.accuracy
        hits, true = np.diag(self.counts), self.counts.sum(1)
        occurs = (true + self.counts.sum(0)) > 0
        return float(np.mean(hits[occurs] / np.maximum(true[occurs], 1)))

    def true_shares(self) -> dict[str, float]:
        """Return each occurring class's share of the labelled pixels."""
        true = self.counts.sum(1)
        return {n: float(true[i] / self.pixels) for i, n in enumerate(self.names) if true[i] > 0}
