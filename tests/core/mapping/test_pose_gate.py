"""A pose is published only when nothing speaks against it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
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
        (
            {"two_view": TwoViewCheck(motion()[:3, :3], 100, np.array([-1.0, 0, 0]), 3.0)},
            GateReason.TWO_VIEW_DIRECTION,
        ),
        ({"T_older_newer_rig": motion(30.0)}, GateReason.RIG_ROTATION),
        ({"T_older_newer_rig": motion(5.0, (-0.05, 0, 0))}, GateReason.RIG_DIRECTION),
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


Axis = tuple[float, float, float]
axes = st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)
references = st.sampled_from(["odometry", "rig", "two_view"])
LIMITS = PoseGateConfig()


def compared(T: np.ndarray, truth: np.ndarray, reference: str) -> bool:
    """Return whether a pose is accepted beside a reference that holds the truth."""
    given: dict = {"T_older_newer_odometry": truth} if reference == "odometry" else {"T_older_newer_rig": truth}
    if reference == "two_view":
        given = {"two_view": TwoViewCheck(truth[:3, :3], 100, truth[:3, 3] / np.linalg.norm(truth[:3, 3]), 5.0)}
    return check_pair_pose(T, True, 0.9, 100, **given).accepted


@settings(max_examples=80, deadline=None)
@given(references, axes, st.floats(0, 180), axes)
def test_a_rotation_is_accepted_up_to_the_limit_and_not_beyond(
    reference: str, axis: Axis, angle_deg: float, direction: Axis
) -> None:
    limit = LIMITS.max_two_view_error_deg if reference == "two_view" else LIMITS.max_rotation_error_deg
    truth, T = motion(20.0, direction), motion(20.0, direction)
    rotvec = np.radians(angle_deg) * np.array(axis) / np.linalg.norm(axis)
    T[:3, :3] = T[:3, :3] @ Rotation.from_rotvec(rotvec).as_matrix()
    if abs(angle_deg - limit) > 1e-6:
        assert compared(T, truth, reference) == (angle_deg < limit)


@settings(max_examples=80, deadline=None)
@given(references, axes, axes, st.floats(0, 180), st.floats(0.01, 100))
def test_a_direction_is_accepted_up_to_the_limit_in_any_unit(
    reference: str, direction: Axis, other: Axis, angle_deg: float, unit: float
) -> None:
    normal = np.cross(direction, other)
    if np.linalg.norm(normal) < 0.05 or abs(angle_deg - 60) < 1e-6:
        return
    turn = Rotation.from_rotvec(np.radians(angle_deg) * normal / np.linalg.norm(normal)).as_matrix()
    truth = motion(20.0, direction)
    T = motion(20.0, tuple(unit * turn @ direction))
    assert compared(T, truth, reference) == (angle_deg < 60)


@pytest.mark.parametrize("parallax_deg", [0.0, 0.5, 0.99])
def test_a_pure_rotation_has_no_direction_to_disagree_with(parallax_deg: float) -> None:
    noise = TwoViewCheck(motion()[:3, :3], 500, np.array([-1.0, 0, 0]), parallax_deg)
    verdict = check_pair_pose(motion(), True, 0.9, two_view=noise)
    assert verdict.accepted and np.isnan(verdict.two_view_direction_error_deg)
    turned = TwoViewCheck(motion(40.0)[:3, :3], 500, np.array([-1.0, 0, 0]), parallax_deg)
    assert check_pair_pose(motion(), True, 0.9, two_view=turned).reason is GateReason.TWO_VIEW_ROTATION


def test_a_model_that_sees_no_motion_has_no_direction_either() -> None:
    still = motion(5.0, (0.0, 0.0, 0.0))
    check = TwoViewCheck(still[:3, :3], 100, np.array([1.0, 0, 0]), 5.0)
    verdict = check_pair_pose(still, True, 0.9, 100, motion(), check)
    assert verdict.accepted  # its rotation is right; the scale sample says "no_motion"
    assert np.isnan(verdict.direction_error_deg) and np.isnan(verdict.two_view_direction_error_deg)


def test_extrinsics_stand_in_for_odometry_and_count_from_a_centimetre_on() -> None:
    wrong = motion(60.0, (-0.3, 0, 0))
    assert check_pair_pose(motion(), True, 0.9, None, wrong, T_older_newer_rig=motion()).accepted
    assert check_pair_pose(motion(), True, 0.9, T_older_newer_rig=motion(5.0, (-0.005, 0, 0))).accepted
    tiny = check_pair_pose(motion(), True, 0.9, T_older_newer_rig=motion(5.0, (-0.02, 0, 0)))
    assert tiny.reason is GateReason.RIG_DIRECTION
