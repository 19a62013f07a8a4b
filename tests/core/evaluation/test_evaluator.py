"""The evaluator on a room that a backend knows: each switch changes what it says it changes, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from box_room import TEXTS, RoomTruth, view

from lsm_core.data.views import ViewSample
from lsm_core.evaluation.evaluator import Evaluator
from lsm_core.evaluation.prepared import in_baselines
from lsm_core.evaluation.sample_scores import (
    Labels,
    SampleScores,
    depth_figures,
    image_figures,
    label_figures,
    pose_figures,
)
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.switches import Switches


def sample(first: int = 0, last: int = 4, *targets: int) -> ViewSample:
    return ViewSample("room", (view(first), view(last)), tuple(view(k) for k in targets or (2,)))


def measure(backend: RoomTruth, taken: ViewSample | None = None, **switches: Any) -> SampleScores:
    found = Evaluator(backend, Switches(**switches)).measure(taken or sample())
    assert found is not None
    return found[0]


def baseline_m(taken: ViewSample) -> float:
    first, last = (v.T_world_cam[:3, 3] for v in taken.context)
    return float(np.linalg.norm(last - first))


@pytest.mark.parametrize("unit", ["points", "depth"])
def test_the_unit_is_found_from_the_truth(unit: str) -> None:
    for unit_m in (2.5, 0.4):
        scores = measure(RoomTruth(unit_m=unit_m), scene_unit=unit)
        assert scores.images[""][0].psnr > 24 and scores.images[""][0].ssim > 0.9
        assert scores.pose.worst_deg < 0.1 and max(e.absrel for e in scores.depth) < 1e-3


def test_a_unit_that_is_claimed_is_not_corrected() -> None:
    assert measure(RoomTruth(unit_m=1.0), scene_unit="as-predicted").images[""][0].psnr > 24
    assert measure(RoomTruth(unit_m=2.0), scene_unit="as-predicted").images[""][0].psnr < 20


def test_the_baseline_is_one_where_a_model_counts_in_it() -> None:
    length = baseline_m(sample())
    assert measure(RoomTruth(unit_m=length), scene_unit="baseline").images[""][0].psnr > 24
    assert measure(RoomTruth(unit_m=2 * length), scene_unit="baseline").images[""][0].psnr < 20
    assert measure(RoomTruth(unit_m=0.7), scene_unit="predicted-baseline").images[""][0].psnr > 24
    scaled = in_baselines(sample())
    assert scaled is not None and baseline_m(scaled) == pytest.approx(1)


def test_a_sample_without_baseline_is_left_out() -> None:
    assert Evaluator(RoomTruth(), Switches(scene_unit="baseline")).measure(sample(2, 2)) is None


def test_alignment_of_targets_wins_back_a_wrong_unit() -> None:
    wrong = RoomTruth(unit_m=1.08)
    plain, aligned = (
        measure(wrong, scene_unit="as-predicted", pose_align_steps=steps).images[""][0].psnr for steps in (0, 40)
    )
    assert aligned > plain + 1.5


def test_depth_is_aligned_as_said() -> None:
    bent = RoomTruth(stretch=0.2)
    median = measure(bent).depth[0]
    affine = measure(bent, depth_alignment="affine").depth[0]
    assert median.absrel > 0.03 and affine.absrel != pytest.approx(median.absrel, rel=1e-3)
    assert measure(RoomTruth(), depth_alignment="none").depth[0].absrel == pytest.approx(0.6, abs=1e-3)


def test_masks_leave_out_what_was_not_seen_or_not_drawn() -> None:
    far = sample(0, 1, 6)
    whole = measure(RoomTruth(), far).images[""][0]
    covered = measure(RoomTruth(), far, image_mask="covered", mask_averages=True).images[""][0]
    seen = measure(RoomTruth(), far, image_mask="seen", mask_averages=True).images[""][0]
    assert whole.counted == 1 and 0.3 < seen.counted < 0.99 and covered.counted < 1
    assert covered.psnr > whole.psnr + 1 and seen.psnr > whole.psnr + 1


def test_classes_are_right_on_given_views_and_targets() -> None:
    labels = Labels(Confusion(TEXTS), Confusion(TEXTS))
    evaluator = Evaluator(RoomTruth(), Switches(), texts=TEXTS)
    assert evaluator.measure(sample(), labels=labels) is not None
    figures = label_figures(labels, Switches())
    assert figures["source_miou"] > 0.85 and figures["target_miou"] > 0.8
    assert labels.given.pixels == 2 * labels.targets.pixels
    turned = Labels(Confusion(TEXTS), Confusion(TEXTS))
    shifted = replace(sample(), targets=(replace(view(2), label=np.full_like(view(2).label, 5)),))
    evaluator.measure(shifted, labels=turned)
    assert label_figures(turned, Switches())["target_accuracy"] < 0.05


def test_without_a_pose_targets_are_drawn_all_the_same_and_the_pose_counts_as_failed() -> None:
    """What is in camera 0 can be drawn from there; only the depth of the second view needs its pose."""
    scores = measure(RoomTruth(found=False))
    assert scores.images[""][0].psnr > 24 and scores.pose.rotation_deg == 180
    assert len(scores.depth) == 1


def test_three_views_are_taken_in_their_order() -> None:
    views = ViewSample("room", (view(0), view(2), view(4)), (view(1), view(3)))
    scores = measure(RoomTruth(), views)
    assert len(scores.depth) == 3 and len(scores.images[""]) == 2
    assert scores.pose.worst_deg < 0.1


def test_sums_over_scenes_or_over_views() -> None:
    bright, dark = measure(RoomTruth(unit_m=1.0), scene_unit="as-predicted"), measure(RoomTruth())
    many = replace(bright, images={"": bright.images[""] * 3})
    values = [bright.images[""][0].psnr, dark.images[""][0].psnr]
    assert image_figures([many, dark], Switches())["psnr"] == pytest.approx(np.mean(values))
    micro = image_figures([many, dark], Switches(image_average="micro"))["psnr"]
    assert micro == pytest.approx((3 * values[0] + values[1]) / 4)
    assert depth_figures([dark], Switches())["tau"] == pytest.approx(100)
    assert pose_figures([dark, measure(RoomTruth(found=False))])["auc_20"] == pytest.approx(0.5, abs=0.01)


def test_a_model_that_needs_intrinsics_is_told_them_all_the_same() -> None:
    backend = RoomTruth()
    measure(backend, intrinsics="estimated")
    backend.needs_intrinsics = True
    measure(backend, intrinsics="estimated")
    assert backend.told[0] is None
    assert torch.equal(backend.told[1][0], torch.from_numpy(view(0).K))  # type: ignore[index]
