"""The goals that version 1 of lsm-tiny is held to: the first figure of each, the bar to reach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lsm_core.evaluation.bars import Bar
from lsm_core.evaluation.depth_metrics import DepthError
from lsm_core.evaluation.geometry_tables import (
    above,
    direction_median,
    mean_of,
    median_of,
    rotation_good_share,
    rotation_median,
)
from lsm_core.evaluation.pose_metrics import AUC_THRESHOLDS_DEG, pose_auc
from lsm_core.evaluation.records import PairRecord
from lsm_core.evaluation.semantic_metrics import Confusion

GOOD_OVERLAP = 0.4
PARALLAX_OVERLAP, PARALLAX_BASELINE_M = 0.2, 0.1  # pairs that depth is measured on
ACCEPTED_VALIDITY = 0.8  # fixed on rendered rooms: there 99 % of the pairs at or above it are right to 10 degrees
NEEDED_AUC = "ORB + E, full size"


def accepted(records: Sequence[PairRecord]) -> list[PairRecord]:
    """Return the records that a consumer would keep."""
    return [r for r in records if r.validity >= ACCEPTED_VALIDITY]


def pose_goals(ours: Sequence[PairRecord], methods: Mapping[str, Sequence[PairRecord]]) -> list[Bar]:
    """Return the goals for relative poses on real images.

    Args:
        ours: the backend's records, all overlaps.
        methods: baselines by name.
    """
    good = above(ours, GOOD_OVERLAP)
    kept = accepted(ours)
    share_kept = len(accepted(good)) / len(good) if good else math.nan
    bars = [
        Bar("rotation median °, overlap > 0.4", rotation_median(good), 2.0, at_least=False),
        Bar("share of rotations below 10°, overlap > 0.4", rotation_good_share(good), 0.95, at_least=True),
        Bar("direction median °, overlap > 0.4", direction_median(good), 10.0, at_least=False),
        Bar(f"share below 10° at validity ≥ {ACCEPTED_VALIDITY}", rotation_good_share(kept), 0.95, at_least=True),
        Bar(f"share with validity ≥ {ACCEPTED_VALIDITY}, overlap > 0.4", share_kept, 0.7, at_least=True),
    ]
    if NEEDED_AUC in methods:
        other = _auc_20(above(methods[NEEDED_AUC], GOOD_OVERLAP))
        bars.append(Bar(f"AUC@20 above {NEEDED_AUC}", _auc_20(good), other, at_least=True, strict=True))
    return bars


def depth_goals(ours: Sequence[PairRecord], constant: Mapping[int, DepthError]) -> list[Bar]:
    """Return the goals for depth on real images, over the pairs with parallax.

    Args:
        ours: the backend's records.
        constant: id of a record -> error of one constant depth on the same pixels.
    """
    seen = [r for r in ours if r.overlap > PARALLAX_OVERLAP and r.baseline_m >= PARALLAX_BASELINE_M]
    errors = [r.depth[0] for r in seen if r.depth[0] is not None]
    absrel = mean_of(errors, lambda e: e.absrel)
    same = 0.75 * mean_of([constant[id(r)] for r in seen if id(r) in constant], lambda e: e.absrel)
    return [
        Bar("absrel, pairs with parallax", absrel, 0.17, at_least=False),
        Bar("absrel against 0.75 of constant depth's", absrel, same, at_least=False),
        Bar("δ<1.25, pairs with parallax", mean_of(errors, lambda e: e.delta), 0.72, at_least=True),
        Bar("view-1 points, pairs with parallax", median_of([r.pointmap1 for r in seen]), 0.13, at_least=False),
    ]


def room_goals(ours: Sequence[PairRecord], confusion: Confusion) -> list[Bar]:
    """Return the goals for rendered rooms with furniture not trained on."""
    errors = [r.depth[0] for r in ours if r.depth[0] is not None]
    return [
        Bar("rotation median °", rotation_median(ours), 1.0, at_least=False),
        Bar("absrel", mean_of(errors, lambda e: e.absrel), 0.10, at_least=False),
        Bar("pixel accuracy", confusion.accuracy, 0.80, at_least=True),
        Bar("mIoU, all classes present", confusion.mean_iou, 0.40, at_least=True),
    ]


def label_goals(confusion: Confusion) -> list[Bar]:
    """Return the goals for labels on real photographs, eight classes."""
    return [
        Bar("pixel accuracy", confusion.accuracy, 0.55, at_least=True),
        Bar("mIoU", confusion.mean_iou, 0.28, at_least=True),
    ]


def time_goals(seconds: float, seconds_kept: float) -> list[Bar]:
    """Return the goals for the time of a pair on two CPU cores.

    Args:
        seconds: of a pair from two images.
        seconds_kept: of a new image beside one whose features are kept, as a stream of keyframes has it.
    """
    return [
        Bar("seconds per pair, both images new", seconds, 0.25, at_least=False),
        Bar("seconds per pair, features of the older image kept", seconds_kept, 0.15, at_least=False),
    ]


def memory_goals(peak_mib: float) -> list[Bar]:
    """Return the goal for the memory of the whole node process; `peak_mib` is its highest resident memory."""
    return [Bar("peak memory of the node, GB", peak_mib * 2**20 / 1e9, 1.5, at_least=False, strict=True)]


def _auc_20(records: Sequence[PairRecord]) -> float:
    return pose_auc([r.pose.worst_deg for r in records])[AUC_THRESHOLDS_DEG.index(20.0)] if records else math.nan
