"""A pose is published only when nothing speaks against it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lsm_core.mapping import GateReason, PoseGateConfig, TwoViewCheck, check_pair_pose


def motion(turn_deg: float = 5.0, t: tuple[float, float, float] = (0.3, 0.0, 0.0)) -> np.ndarray:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix()
    T[:3, 3] = t
    return T


def test_pose_in_line_with_everything_is_accepted_in_any_unit() -> None:
    odometry = motion(6.0, (0.6, 0.02, 0.0))
    verdict = check_pair_pose(motion(), True, 0.8, 200, odometry, TwoViewCheck(motion(4.0)[:3, :3], 100))
    assert verdict.accepted and verdict.reason == ""
    assert verdict.rotation_error_deg == pytest.approx(1.0, abs=1e-6)
    assert verdict.two_view_error_deg == pytest.approx(1.0, abs=1e-6)
    assert 0 < verdict.direction_error_deg < 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pose_valid": False}, GateReason.NO_POSE),
        ({"validity": 0.05}, GateReason.LOW_VALIDITY),
        ({"validity": float("nan")}, GateReason.LOW_VALIDITY),
        ({"inliers": 5}, GateReason.FEW_INLIERS),
        ({"T_older_newer_odometry": motion(30.0)}, GateReason.ODOMETRY_ROTATION),
        ({"T_older_newer_odometry": motion(5.0, (-0.3, 0, 0))}, GateReason.ODOMETRY_DIRECTION),
        ({"two_view": TwoViewCheck(motion(40.0)[:3, :3], 100)}, GateReason.TWO_VIEW_ROTATION),
        ({"T_older_newer": np.full((4, 4), np.nan)}, GateReason.NOT_FINITE),
    ],
)
def test_each_ground_for_rejection_is_named(changes: dict, reason: GateReason) -> None:
    good = {"T_older_newer": motion(), "pose_valid": True, "validity": 0.9, "inliers": 100}
    assert check_pair_pose(**good).accepted
    verdict = check_pair_pose(**(good | changes))
    assert not verdict.accepted and verdict.reason is reason


def test_short_odometry_has_no_direction_to_contradict() -> None:
    verdict = check_pair_pose(motion(), True, 0.9, None, motion(5.0, (-0.01, 0, 0)))
    assert verdict.accepted and np.isnan(verdict.direction_error_deg)


def test_two_view_check_with_few_inliers_does_not_count() -> None:
    weak = TwoViewCheck(motion(90.0)[:3, :3], PoseGateConfig().min_two_view_inliers - 1)
    assert check_pair_pose(motion(), True, 0.9, two_view=weak).accepted
