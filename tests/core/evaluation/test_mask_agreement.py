"""Agreement of masks between two views: known masks on a known wall, and which texts count."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from test_studies import write_shard
from truth_backend import TruthBackend

from lsm_core.evaluation.hololens import HoloLensRecording
from lsm_core.evaluation.mask_agreement import MaskAgreement, compare_masks
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.pairs import EvalPair, EvalView
from lsm_core.evaluation.rooms import load_room_pairs
from lsm_core.evaluation.sequences import depth_seen_from
from lsm_core.evaluation.studies import study_rooms
from lsm_core.geometry import co_visible_pixels

HEIGHT, WIDTH = 40, 80
SHIFT = 20  # px by which the second camera sees the wall further left
K = torch.tensor([[50.0, 0, 39.5], [0, 50.0, 19.5], [0, 0, 1]])
TEXTS = ("wall", "floor", "ceiling")
ALL, NONE = np.ones((HEIGHT, WIDTH), bool), np.zeros((HEIGHT, WIDTH), bool)


def columns(first: int, last: int) -> np.ndarray:
    """A mask [HEIGHT, WIDTH] of the columns first to last, the latter left out."""
    mask = NONE.copy()
    mask[:, first:last] = True
    return mask


@dataclass
class Answer:
    masks: list[list[np.ndarray]]


class Known:
    """A backend that answers every query with the masks it was made with."""

    has_language = True

    def __init__(self, *masks_of_views: list[np.ndarray]) -> None:
        self._masks = list(masks_of_views)

    def query(self, prediction: Any, texts: list[str]) -> Answer:
        assert texts == list(TEXTS)
        return Answer(self._masks)


def wall_pair(labels: np.ndarray | None = None) -> EvalPair:
    """Two views of a wall 2 m ahead; the second camera stands SHIFT pixels further right."""
    depth = torch.full((HEIGHT, WIDTH), 2.0)
    T = torch.eye(4, dtype=torch.float64)
    T[0, 3] = SHIFT * 2.0 / 50.0
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    views = [EvalView(name, image, K, depth, labels) for name in "ab"]
    return EvalPair((views[0], views[1]), T, 0.75)


def measured(backend: Any, labels: np.ndarray | None = None) -> MaskAgreement:
    agreement, pair = MaskAgreement(TEXTS), wall_pair(labels)
    prediction: Any = None
    agreement.add(backend, pair, prediction, pair.views[1].depth)
    return agreement


def test_pixels_are_compared_where_both_views_see_the_wall() -> None:
    pair = wall_pair()
    assert pair.views[0].depth is not None
    here, there = co_visible_pixels(pair.views[0].depth, K, pair.T_cam0_cam1.float(), K, pair.views[0].depth)
    assert len(here) == HEIGHT * (WIDTH - SHIFT)
    assert torch.equal(here - there, torch.tensor([[SHIFT, 0]]).expand(len(here), 2))


def test_what_another_thing_hides_or_nothing_measures_is_not_compared() -> None:
    pair = wall_pair()
    depth_0 = pair.views[0].depth
    assert depth_0 is not None
    depth_1 = depth_0.clone()
    depth_1[:, :10] = 1.0  # a thing before the wall, in view 1 only
    depth_1[:, 10:15] = 0.0  # unknown
    here, there = co_visible_pixels(depth_0, K, pair.T_cam0_cam1.float(), K, depth_1)
    assert len(here) == HEIGHT * (WIDTH - SHIFT - 15) and int(there[:, 0].min()) == 15


def test_masks_that_follow_the_wall_agree_and_those_that_follow_the_image_do_not() -> None:
    # columns 20 to 79 of view 0 are columns 0 to 59 of view 1
    follows = Known([columns(30, 50), NONE, NONE], [columns(10, 30), NONE, NONE])
    assert measured(follows).mean_iou == 1.0
    stays = Known([columns(30, 50), NONE, NONE], [columns(30, 50), NONE, NONE])
    # on the wall: 30 to 50 against 50 to 70
    assert measured(stays).mean_iou == 0.0
    half = Known([columns(30, 50), NONE, NONE], [columns(15, 35), NONE, NONE])
    # 30 to 50 against 35 to 55: 15 columns in common of 25
    assert measured(half).mean_iou == pytest.approx(15 / 25)


def test_outside_what_both_see_masks_do_not_count() -> None:
    noisy = Known([columns(30, 50) | columns(0, 20), NONE, NONE], [columns(10, 30) | columns(60, 80), NONE, NONE])
    agreement = measured(noisy)
    assert agreement.mean_iou == 1.0
    assert agreement.results[0].positive == pytest.approx(20 / 60)


def test_without_labels_a_text_counts_where_both_views_find_it() -> None:
    one_sided = Known([columns(30, 50), columns(50, 60), NONE], [columns(10, 30), NONE, NONE])
    agreement = measured(one_sided)
    assert [r.counts for r in agreement.results] == [True, False, False]
    assert agreement.mean_iou == 1.0 and agreement.table().rows[0][1] == 1


def test_with_labels_a_text_of_the_truth_counts_even_where_one_view_finds_nothing() -> None:
    labels = np.ones((HEIGHT, WIDTH), np.uint8)
    labels[:20] = 2  # floor above, wall below; no ceiling
    wall, floor = labels == 1, labels == 2
    agreement = measured(Known([wall, floor, columns(30, 50)], [wall, NONE, columns(10, 20)]), labels)
    assert [r.counts for r in agreement.results] == [True, True, True]  # the ceiling: found by both views
    assert [r.iou for r in agreement.results] == [1.0, 0.0, pytest.approx(0.5)]
    assert agreement.mean_iou == pytest.approx(0.5)
    assert [r.true_iou for r in agreement.results[:2]] == [1.0, 0.5] and math.isnan(agreement.results[2].true_iou)


def test_a_text_that_no_view_finds_is_told_and_not_averaged() -> None:
    agreement = measured(Known([ALL, NONE, NONE], [ALL, NONE, NONE]), np.full((HEIGHT, WIDTH), 2, np.uint8))
    all_rows, in_truth, found = agreement.table().rows
    assert agreement.mean_iou == 1.0  # the wall, which is not there; the floor, which is, has no mask
    assert (all_rows[1], all_rows[-1]) == (2, 1) and (in_truth[1], in_truth[-1]) == (1, 1) and found[1] == 1
    assert in_truth[4] == 0.0  # mIoU with the truth tells what agreement cannot


def test_specks_do_not_count_as_found() -> None:
    speck = np.zeros(1000, bool)
    speck[:4] = True
    assert not compare_masks("cup", (speck, speck)).counts
    speck[:5] = True
    assert compare_masks("cup", (speck, speck)).counts


def test_pairs_with_little_in_common_are_left_out() -> None:
    pair = wall_pair()
    assert pair.views[1].depth is not None
    depth_1 = pair.views[1].depth.clone()
    depth_1[:, 7:] = 0.0
    agreement = MaskAgreement(TEXTS)
    prediction: Any = None
    backend: Any = Known([ALL] * 3, [ALL] * 3)
    agreement.add(backend, pair, prediction, depth_1)
    agreement.add(backend, pair, prediction, None)
    assert agreement.pairs == 0 and math.isnan(agreement.mean_iou)


def test_the_room_study_reports_agreement_and_its_goal(tmp_path: Path) -> None:
    write_shard(tmp_path, 4)
    backend = TruthBackend(load_room_pairs(tmp_path))
    report = study_rooms(backend, tmp_path, StudyOptions(with_baselines=False))
    goals = next(table for table in report.tables if table.title == "Goals of version 1: rooms")
    assert any(str(row[0]).startswith("agreement") for row in goals.rows)


def test_depth_is_carried_over_from_the_neighbouring_frames() -> None:
    """Frame 1 has no depth and stands between: it sees the wall of frame 0 and, nearer, the box of frame 2."""
    T = torch.eye(4, dtype=torch.float64).repeat(3, 1, 1)
    T[1, 2, 3], T[2, 2, 3] = 0.5, 0.5  # half a metre towards the wall
    wall, box = torch.full((HEIGHT, WIDTH), 2.0), torch.zeros(HEIGHT, WIDTH)
    box[10:20, 30:50] = 1.0
    recording = HoloLensRecording(("0.png", "1.png", "2.png"), T, K, {0: wall, 2: box}, Path())
    assert torch.equal(depth_seen_from(recording, 2), box)
    seen = depth_seen_from(recording, 1)
    torch.testing.assert_close(seen[10:20, 30:50], torch.ones(10, 20))
    known = seen[seen > 0]
    assert len(known) > 0.5 * HEIGHT * WIDTH
    assert set(known.mul(100).round().tolist()) == {100.0, 150.0}
