"""Pose errors against hand-made poses, the AUC against areas computed by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lsm_core.errors import InputError
from lsm_core.evaluation.pose_metrics import FAILED_POSE, pose_auc, pose_error
from lsm_core.geometry import rigid, so3_exp


def pose(yaw_deg: float, t: tuple[float, float, float]) -> torch.Tensor:
    return rigid(so3_exp(torch.tensor([0.0, math.radians(yaw_deg), 0.0])), torch.tensor(t))


def test_rotation_and_direction_errors_of_known_poses() -> None:
    error = pose_error(pose(10, (1.0, 0.0, 0.0)), pose(13, (2.0, 2.0, 0.0)))
    assert error.rotation_deg == pytest.approx(3, abs=1e-4)
    assert error.direction_deg == pytest.approx(45, abs=1e-4)
    assert error.translation == pytest.approx(math.sqrt(5), abs=1e-5)
    assert error.worst_deg == pytest.approx(45, abs=1e-4)


def test_an_opposite_direction_is_wrong_but_folds_to_zero() -> None:
    error = pose_error(pose(0, (0.0, 0.0, 1.0)), pose(0, (0.0, 0.0, -1.0)))
    assert error.direction_deg == pytest.approx(180)
    assert error.direction_folded_deg == pytest.approx(0, abs=1e-4)


def test_a_pose_without_translation_has_no_direction_error() -> None:
    error = pose_error(pose(0, (0.0, 0.0, 1.0)), pose(4, (0.0, 0.0, 0.0)))
    assert math.isnan(error.direction_deg)
    assert error.worst_deg == pytest.approx(4, abs=1e-4)


def test_auc_of_one_error_is_the_area_of_its_triangle_and_rectangle() -> None:
    # recall rises in a line to 1 at 4 degrees, then stays there up to 10
    assert pose_auc([4.0], [10.0]) == pytest.approx([(0.5 * 4 + 6) / 10])


def test_auc_of_two_errors_one_of_them_failed() -> None:
    assert pose_auc([2.0, 180.0], [5.0]) == pytest.approx([(0.5 * 2 * 0.5 + 3 * 0.5) / 5])


def test_perfect_poses_have_auc_one_and_failed_ones_zero() -> None:
    assert pose_auc([0.0] * 5) == pytest.approx([1, 1, 1])
    assert pose_auc([FAILED_POSE.worst_deg] * 5) == [0, 0, 0]


@given(st.lists(st.floats(0, 180), min_size=1, max_size=30))
def test_auc_lies_in_the_unit_interval_and_grows_with_the_threshold(errors: list[float]) -> None:
    areas = pose_auc(errors, [5, 10, 20])
    assert all(-1e-12 <= a <= 1 + 1e-12 for a in areas)
    assert areas[0] * 5 <= areas[1] * 10 + 1e-9 <= areas[2] * 20 + 2e-9


def test_auc_refuses_nothing_and_nan() -> None:
    with pytest.raises(InputError):
        pose_auc([])
    with pytest.raises(InputError):
        pose_auc([1.0, math.nan])
