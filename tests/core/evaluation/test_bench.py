"""The scene that is timed is a real two-view scene, and every stage is measured."""

from __future__ import annotations

import numpy as np
from truth_backend import TruthBackend, make_pairs

from lsm_core.evaluation.baselines import feature_pose
from lsm_core.evaluation.bench import StageTime, bench_pair, bench_table
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.evaluation.records import run_pose_method


def test_the_drawn_scene_shows_the_motion_it_claims() -> None:
    (record,) = run_pose_method(feature_pose("sift", None), [textured_pair()])
    assert record.pose_found
    assert record.pose.rotation_deg < 0.5
    assert record.pose.direction_deg < 5


def test_the_drawn_scene_depends_on_the_seed_only() -> None:
    first, again, other = textured_pair(seed=1), textured_pair(seed=1), textured_pair(seed=2)
    assert np.array_equal(first.views[1].image, again.views[1].image)
    assert not np.array_equal(first.views[1].image, other.views[1].image)


class RawTruthBackend(TruthBackend):
    """The truth, also for encoded views."""

    def predict(self, views, intrinsics=None, poses=None, generator=None):  # type: ignore[no-untyped-def]
        return super().predict([getattr(v, "image", v) for v in views])


def test_every_stage_is_timed() -> None:
    pairs = make_pairs(1)
    stages = bench_pair(RawTruthBackend(pairs), pairs[0], repeats=3, warmup=1)
    assert len(stages) == 4
    assert all(0 < s.p10_ms <= s.median_ms <= s.p90_ms for s in stages)


def test_shares_are_relative_to_the_total() -> None:
    table = bench_table("t", [StageTime("encode", 5, 4, 6, 7), StageTime("pair (total)", 20, 19, 21, 30)], "")
    assert [row[-1] for row in table.rows] == [0.25, 1.0]
