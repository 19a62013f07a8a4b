"""The goals of version 1: which pairs count, and that a figure beside the bar misses it."""

from __future__ import annotations

import math

from lsm_core.evaluation.depth_metrics import DepthError
from lsm_core.evaluation.goals import NEEDED_AUC, depth_goals, memory_goals, pose_goals, time_goals
from lsm_core.evaluation.pose_metrics import PoseError
from lsm_core.evaluation.records import PairRecord


def record(
    overlap: float, error_deg: float, validity: float = 1.0, baseline_m: float = 0.3, absrel: float = 0.1
) -> PairRecord:
    pose = PoseError(error_deg, error_deg, error_deg, math.nan)
    depth = DepthError(absrel, 0.9, 1.0, 100)
    return PairRecord("p", overlap, baseline_m, pose, True, validity, (depth, None), pointmap1=0.1)


def met(bars: list, start: str) -> bool:
    return next(bar.met for bar in bars if bar.name.startswith(start))


def test_only_pairs_that_overlap_count_for_the_pose_and_all_accepted_ones_for_validity() -> None:
    good = [record(0.6, 1.0) for _ in range(20)]
    wrong_and_refused = [record(0.05, 90.0, validity=0.1) for _ in range(20)]
    bars = pose_goals(good + wrong_and_refused, {})
    assert all(bar.met for bar in bars)
    wrong_and_accepted = [record(0.05, 90.0, validity=0.9) for _ in range(2)]
    assert not met(pose_goals(good + wrong_and_accepted, {}), "share below 10° at validity")
    assert not met(pose_goals([record(0.6, 1.0, validity=0.5) for _ in range(20)], {}), "share with validity")


def test_the_auc_must_be_above_that_of_the_baseline() -> None:
    ours = [record(0.6, 4.0) for _ in range(10)]
    for other, expected in ((6.0, True), (4.0, False), (2.0, False)):
        baseline = {NEEDED_AUC: [record(0.6, other) for _ in range(10)]}
        assert met(pose_goals(ours, baseline), "AUC@20") is expected


def test_depth_counts_where_there_is_parallax_and_must_beat_a_constant_clearly() -> None:
    far, near = [record(0.5, 1.0, absrel=0.12) for _ in range(5)], [record(0.5, 1.0, baseline_m=0.06, absrel=0.9)]
    constant = {id(r): DepthError(0.2, 0.5, 1.0, 100) for r in far + near}
    bars = depth_goals(far + near, constant)
    assert all(bar.met for bar in bars)
    poor = {id(r): DepthError(0.15, 0.5, 1.0, 100) for r in far}
    assert not met(depth_goals(far, poor), "absrel against")


def test_time_and_memory_have_their_goals() -> None:
    assert [bar.met for bar in time_goals(0.25, 0.16)] == [True, False]
    assert [bar.met for bar in time_goals(0.26, 0.15)] == [False, True]
    assert memory_goals(1430.0)[0].met and not memory_goals(1431.0)[0].met  # 1.5 GB are 1430.5 MiB
