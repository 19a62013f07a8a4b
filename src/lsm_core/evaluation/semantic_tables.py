"""A confusion matrix as tables: the summary and one row per class."""

from __future__ import annotations

import math

import numpy as np

from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.tables import Column, Table

FREQUENT_SHARE = 0.005


def mean_iou_of_frequent(confusion: Confusion, share: float = FREQUENT_SHARE) -> float:
    """Return the mean IoU over classes with at least this share of the labelled pixels, NaN without any."""
    shares = confusion.true_shares()
    values = [iou for name, iou in confusion.iou().items() if shares[name] >= share]
    return float(np.mean(values)) if values else math.nan


def semantic_table(title: str, confusion: Confusion, images: int) -> Table:
    """Return accuracy and mean IoU."""
    columns = [
        Column("images", "d"),
        Column("pixel accuracy"),
        Column("commonest class"),
        Column("mIoU"),
        Column("classes", "d"),
        Column("mIoU frequent"),
    ]
    row = [
        images,
        confusion.accuracy,
        confusion.majority_share,
        confusion.mean_iou,
        len(confusion.iou()),
        mean_iou_of_frequent(confusion),
    ]
    note = (
        "Commonest class: accuracy of always answering it. mIoU: mean over all classes that occur in the truth; "
        f"frequent: over those with at least {100 * FREQUENT_SHARE:g} % of the pixels."
    )
    return Table(title, columns, [list(row)], note)


def class_table(title: str, confusion: Confusion) -> Table:
    """Return the IoU of each class that occurs, commonest first."""
    shares, iou = confusion.true_shares(), confusion.iou()
    columns = [Column("class"), Column("share of pixels", ".2%"), Column("IoU")]
    ordered = sorted(shares, key=lambda name: -shares[name])
    return Table(title, columns, [[name, shares[name], iou[name]] for name in ordered])
