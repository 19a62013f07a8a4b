"""Accuracy and IoU of confusion matrices small enough to count by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lsm_core.errors import InputError
from lsm_core.evaluation.nyu import NYU_NAMES, NYU_TEXTS, text_to_name
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.semantic_tables import mean_iou_of_frequent


def test_iou_of_a_small_image() -> None:
    confusion = Confusion(["a", "b", "c"])
    confusion.add(np.array([0, 0, 0, 1, 1, -1]), np.array([0, 0, 1, 1, 2, 0]))
    assert confusion.pixels == 5
    assert confusion.accuracy == pytest.approx(3 / 5)
    assert confusion.majority_share == pytest.approx(3 / 5)
    assert confusion.iou() == pytest.approx({"a": 2 / 3, "b": 1 / 3})  # c never occurs
    assert confusion.mean_iou == pytest.approx(0.5)


def test_images_add_up() -> None:
    parts, whole = Confusion(["a", "b"]), Confusion(["a", "b"])
    true, predicted = np.array([[0, 1, 1, 0]]), np.array([[0, 0, 1, 1]])
    parts.add(true[:, :2], predicted[:, :2])
    parts.add(true[:, 2:], predicted[:, 2:])
    whole.add(true, predicted)
    assert np.array_equal(parts.counts, whole.counts)


def test_rare_classes_can_be_left_out_of_the_mean() -> None:
    confusion = Confusion(["common", "rare"])
    confusion.add(np.array([0] * 999 + [1]), np.zeros(1000, int))
    assert confusion.mean_iou == pytest.approx(0.999 / 2)
    assert mean_iou_of_frequent(confusion) == pytest.approx(0.999)


def test_without_labels_there_is_no_score() -> None:
    confusion = Confusion(["a"])
    confusion.add(np.array([-1]), np.array([0]))
    assert math.isnan(confusion.accuracy) and math.isnan(confusion.mean_iou)


def test_bad_label_maps_are_refused() -> None:
    with pytest.raises(InputError):
        Confusion(["a"]).add(np.array([0, 0]), np.array([0]))
    with pytest.raises(InputError):
        Confusion(["a"]).add(np.array([0]), np.array([1]))


def test_texts_map_to_the_shared_classes() -> None:
    mapping = dict(zip(NYU_TEXTS, text_to_name(), strict=True))
    assert NYU_NAMES[mapping["wall"]] == "wall"
    assert NYU_NAMES[mapping["desk"]] == "table"
    assert NYU_NAMES[mapping["rug"]] == "floor"
    assert NYU_NAMES[mapping["refrigerator"]] == "other"
