"""Pairs and paths against odometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lsm_core.evaluation.odometry_check import TimedPair, accepted_per_window, align_path, compare_with_odometry
from lsm_core.io import Trajectory


def pose(turn_deg: float, x: float, z: float = 0.0) -> NDArray[np.float64]:
    out = np.eye(4)
    out[:3, :3] = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix()
    out[:3, 3] = x, 0, z
    return out


TRUTH = Trajectory(
    np.array([0, 100, 200, 300]), np.stack([pose(0, 0), pose(10, 1), pose(25, 2, 0.5), pose(25, 2, 0.51)])
)


def true_pair(older: int, newer: int, extra_deg: float = 0.0, scale: float = 1.0) -> TimedPair:
    T = np.linalg.inv(TRUTH.poses[older]) @ TRUTH.poses[newer] @ pose(extra_deg, 0)
    T[:3, 3] *= scale
    return TimedPair(100 * older, 100 * newer, T)


def test_true_pairs_of_any_unit_have_no_error() -> None:
    check = compare_with_odometry([true_pair(0, 1), true_pair(1, 2, scale=7.0)], TRUTH)
    assert check.compared == 2 and check.rotation_mean_deg == pytest.approx(0, abs=1e-5)
    assert check.direction_mean_deg == pytest.approx(0, abs=1e-4)


def test_rotation_errors_are_summed_up() -> None:
    check = compare_with_odometry([true_pair(0, 1, 2.0), true_pair(1, 2, 4.0), true_pair(0, 2, 9.0)], TRUTH)
    assert check.rotation_median_deg == pytest.approx(4) and check.rotation_mean_deg == pytest.approx(5)


def test_opposite_motion_is_an_error_of_180_degrees() -> None:
    check = compare_with_odometry([true_pair(0, 1, scale=-1.0)], TRUTH)
    assert check.direction_median_deg == pytest.approx(180)


def test_pairs_that_hardly_moved_have_no_direction_and_pairs_without_odometry_do_not_count() -> None:
    check = compare_with_odometry([true_pair(2, 3), TimedPair(0, 1000, np.eye(4))], TRUTH)
    assert check.compared == 1 and check.with_direction == 0 and math.isnan(check.direction_median_deg)


def test_events_are_counted_per_window() -> None:
    second = 10**9
    stamps = [0, second, 2 * second, 5 * second, 9 * second]
    assert accepted_per_window(stamps, 0, 9 * second) == [2, 1, 1, 1]
    assert accepted_per_window([10 * second], 0, 9 * second) == [0, 0, 0, 0]


@pytest.mark.parametrize("straight", [False, True])
def test_paths_are_aligned_also_when_straight(straight: bool) -> None:
    true = [pose(0, 0), pose(0, 1), pose(0, 3)] if straight else [pose(0, 0), pose(10, 1), pose(25, 2, 2)]
    truth = Trajectory(np.array([0, 100, 200]), np.stack(true))
    world = pose(40, 5, -2)
    moved = np.stack([world @ T for T in truth.poses])
    moved[:, :3, 3] *= 0.3
    aligned = align_path(Trajectory(truth.stamps_ns, moved), truth)
    assert aligned is not None
    np.testing.assert_allclose(aligned, truth.poses[:, :3, 3], atol=1e-9)
