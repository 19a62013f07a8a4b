"""Do the masks of one text agree between the two views of a pair? One definition for every backend.

The two views of a surface should carry the same answer. All texts are asked in one call through the public API; a
pixel of view 0 is compared with the pixel of view 1 that shows the same surface, by true depth and pose
(`co_visible_pixels`). Per pair and text, the agreement is the number of those pixels that both masks hold over the
number that at least one holds. A text counts in a pair where the truth shows it or where both views find it, each
from 0.5 % of the pixels compared. Masks that never hold anything, or everything, would agree as well, so the masks'
overlap with the truth and the share of pixels they hold stand beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.evaluation.bars import Bar
from lsm_core.evaluation.pairs import EvalPair
from lsm_core.evaluation.presence import IN_VIEW
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.geometry.overlap import co_visible_pixels
from lsm_core.types import Prediction

MIN_COMPARED = 0.1  # share of view 0's pixels: pairs with fewer to compare say nothing
GOAL = 0.75
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class TextAgreement:
    """One text in one pair, over the pixels that both views see.

    Attributes:
        text: asked.
        both: places that both views' masks hold.
        either: places that at least one holds.
        true_iou: mean over the views of the IoU of mask and truth; NaN where the truth is not known or shows none.
        positive: share of the pixels that a mask holds, mean of both views.
        in_truth: the truth shows it; None where the truth is not known.
        found: by both views.
    """

    text: str
    both: int
    either: int
    true_iou: float
    positive: float
    in_truth: bool | None
    found: bool

    @property
    def iou(self) -> float:
        """Agreement of the two views' masks; NaN where neither holds a pixel."""
        return self.both / self.either if self.either else math.nan

    @property
    def counts(self) -> bool:
        """Whether it is part of the figure: the truth shows it, or both views find it."""
        return bool(self.in_truth) or self.found


def compare_masks(text: str, masks: tuple[Mask, Mask], truth: tuple[Mask, Mask] | None = None) -> TextAgreement:
    """Compare what two views hold at the N places that both see.

    Args:
        text: asked.
        masks: [N] of view 0 and of view 1 at the same places.
        truth: the same of the truth, where it is known.
    """
    shares = [float(mask.mean()) if mask.size else 0.0 for mask in masks]
    in_truth, true_iou = None, math.nan
    if truth is not None:
        in_truth = bool(truth[0].size) and float(truth[0].mean()) >= IN_VIEW
        if in_truth:
            true_iou = float(np.mean([_iou(mask, true) for mask, true in zip(masks, truth, strict=True)]))
    found = min(shares) >= IN_VIEW
    both, either = int((masks[0] & masks[1]).sum()), int((masks[0] | masks[1]).sum())
    return TextAgreement(text, both, either, true_iou, float(np.mean(shares)), in_truth, found)


class MaskAgreement:
    """Collects agreement pair by pair.

    Args:
        texts: asked in one call; where labels are known, label k + 1 is text k.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)
        self.pairs = 0
        self.results: list[TextAgreement] = []

    def add(self, backend: Backend, pair: EvalPair, prediction: Prediction, depth_1: Tensor | None) -> None:
        """Ask the texts and compare the views; pairs with too few pixels to compare are left out.

        Args:
            backend: that made the prediction; nothing happens without language features.
            pair: with depth and intrinsics of view 0, and intrinsics of view 1.
            prediction: of the pair.
            depth_1: [H, W] metres as view 1 sees it, 0 = unknown; None leaves the pair out.
        """
        first, second = pair.views
        if (
            not backend.has_language
            or depth_1 is None
            or first.depth is None
            or first.K is None
            or second.K is None
        ):
            return
        here, there = co_visible_pixels(first.depth, first.K, pair.T_cam0_cam1.float(), second.K, depth_1)
        if len(here) < MIN_COMPARED * first.depth.numel():
            return
        at = [(pixels[:, 1].numpy(), pixels[:, 0].numpy()) for pixels in (here, there)]
        masks = backend.query(prediction, list(self._texts)).masks
        labels = None
        if first.labels is not None and second.labels is not None:
            labels = (first.labels[at[0]], second.labels[at[1]])
        self.pairs += 1
        for index, text in enumerate(self._texts):
            truth = None if labels is None else (labels[0] == index + 1, labels[1] == index + 1)
            self.results.append(compare_masks(text, (masks[0][index][at[0]], masks[1][index][at[1]]), truth))

    @property
    def mean_iou(self) -> float:
        """Mean agreement over the pairs' texts that count; NaN without any."""
        return _mean([r.iou for r in self.results if r.counts])

    def goal(self) -> Bar:
        """Return the goal of version 1."""
        return Bar("agreement of a text's masks between the views, IoU", self.mean_iou, GOAL, at_least=True)

    def table(self) -> Table:
        """Return the figure, over all that counts and by where it comes from."""
        columns = [Column("masks"), Column("queries", "d"), Column("agreement, IoU"), Column("of all pixels"),
                   Column("mIoU, truth"), Column("positive share", ".2%"), Column("no mask", "d")]  # fmt: skip
        counting = [r for r in self.results if r.counts]
        rows = [_row("all that count", counting)]
        if any(r.in_truth is not None for r in self.results):
            rows.append(_row("in the truth", [r for r in counting if r.in_truth]))
            rows.append(_row("found by both views, not in the truth", [r for r in counting if not r.in_truth]))
        note = (
            f"{self.pairs} pairs with at least {100 * MIN_COMPARED:g} % of view 0 seen by both views, "
            f"{len(self._texts)} texts asked in one call; a text counts in a pair where the truth shows it or both "
            f"views find it, each from {100 * IN_VIEW:g} % of the pixels compared. Means over those queries; of "
            "all pixels: the pixels of all queries summed first; mIoU, truth: of the same masks with the labels; "
            "no mask: queries for which neither view holds a pixel, which have no agreement to be averaged."
        )
        return Table("Agreement of masks between the two views", columns, rows, note)


def _row(name: str, results: Sequence[TextAgreement]) -> list[Cell]:
    either = sum(r.either for r in results)
    together = sum(r.both for r in results) / either if either else math.nan
    iou, true_iou, positive = (_mean([getattr(r, f) for r in results]) for f in ("iou", "true_iou", "positive"))
    return [name, len(results), iou, together, true_iou, positive, sum(r.either == 0 for r in results)]


def _iou(mask: Mask, true: Mask) -> float:
    return int((mask & true).sum()) / int((mask | true).sum())


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are numbers; NaN without any."""
    known = [value for value in values if not math.isnan(value)]
    return float(np.mean(known)) if known else math.nan
