"""Every way a rig can fail: named, counted, and the primary camera goes on alone."""

from __future__ import annotations

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.health import collect_health
from lsm_perception.rig import rig_cameras
from lsm_perception_msgs.msg import Scale
from lsm_perception_msgs.srv import Stats
from rig_harness import HEARD, LEFT, RIGHT, RigHarness
from rig_views import TRUE_EXTRINSICS, moving
from synthetic_world import View

from lsm_core.errors import UnsupportedError

OFF = {"pose_gate.two_view_check": False}


def run(left: list[View], right: list[View], extrinsics: np.ndarray | None, **parameters: object) -> RigHarness:
    """Return a rig after it was fed; extrinsics None sends none."""
    harness = RigHarness(FakeBackend([*left, *right]), OFF | parameters, listen=HEARD)
    try:
        harness.wait_ready("pair_pose")
        if extrinsics is not None:
            harness.send_extrinsics(extrinsics)
        harness.feed(left, right)
    except BaseException:
        harness.close()
        raise
    return harness


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (np.array([[0, 0, 1, 0.25], [0, 1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1.0]]), "rig_rotation"),
        (np.array([[1, 0, 0, -0.25], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]), "rig_direction"),
    ],
)
def test_wrong_extrinsics_reject_every_rig_pair_and_give_no_metres(
    rclpy_session: None, wrong: np.ndarray, reason: str
) -> None:
    harness = run(*moving(6), wrong)
    try:
        rejected = {d.reason: d.count for d in harness.call(Stats, "stats").pairs_rejected}
        assert set(rejected) == {reason}
        of_rig = lambda: [m for m in harness.pairs() if m.reference_camera == "right"]  # noqa: E731
        assert wait_until(lambda: len(of_rig()) >= rejected[reason])  # messages come after what they tell
        assert len(of_rig()) == rejected[reason] > 0
        assert {m.reason for m in of_rig()} == {reason} and not any(m.accepted for m in of_rig())
        over_time = [m for m in harness.pairs() if m.reference_camera == "left"]
        assert over_time and all(m.accepted for m in over_time)  # the map goes on, unscaled
        assert {m.state for m in harness.messages("scale")} == {Scale.UNKNOWN}
    finally:
        harness.close()


def problem_of(harness: RigHarness) -> str:
    assert harness.node.runtime is not None
    return harness.node.runtime.problems.newest()[0]


def test_missing_tf_is_named_and_the_map_goes_on_over_time(rclpy_session: None) -> None:
    harness = run(*moving(6), None)
    try:
        assert f"from '{LEFT}' to '{RIGHT}'" in problem_of(harness)
        assert {d.reason for d in harness.call(Stats, "stats").dropped} >= {"no_extrinsics"}
        assert any(m.accepted for m in harness.pairs())
        harness.send_extrinsics()
        left, right = moving(10)
        harness.backend._views |= FakeBackend([*left, *right])._views
        harness.feed(left[6:], right[6:])
        assert any(m.reference_camera == "right" and m.accepted for m in harness.pairs())
    finally:
        harness.close()


def test_cameras_out_of_step_are_named_with_the_offset(rclpy_session: None) -> None:
    harness = run(*moving(6, late_ns=-45_000_000), TRUE_EXTRINSICS)
    try:
        assert "-45 ms off" in problem_of(harness) and "rig.max_sync_s" in problem_of(harness)
        assert {d.reason for d in harness.call(Stats, "stats").dropped} >= {"unsynchronised"}
        pairs = harness.pairs()
        assert pairs and all(m.reference_camera == "left" and m.accepted for m in pairs)
    finally:
        harness.close()


def test_a_second_camera_that_dies_leaves_a_camera_that_goes_on(rclpy_session: None) -> None:
    left, right = moving(18)
    harness = run(left[:10], right[:10], TRUE_EXTRINSICS)
    try:
        assert wait_until(lambda: harness.messages("scale")[-1].state == Scale.METRIC)
        harness.backend._views |= FakeBackend(left)._views
        harness.feed(left[10:], [None] * 8)
        later = [m for m in harness.pairs() if stamp_to_ns(m.header.stamp) >= left[10].stamp_ns]
        assert len(later) >= 3 and all(m.reference_camera == "left" and m.accepted for m in later)
        assert harness.messages("scale")[-1].state == Scale.METRIC and "second camera" in problem_of(harness)
        runtime = harness.node.runtime
        assert runtime is not None
        cameras = {camera.topic for camera in collect_health(runtime, "active").cameras}
        assert cameras == {"/left/image", "/right/image"}
    finally:
        harness.close()


@pytest.mark.parametrize("cameras", [[""], ["left"], ["left", "left"], ["left", ""], ["a", "b", "c"]])
def test_a_rig_needs_exactly_two_cameras(cameras: list[str]) -> None:
    with pytest.raises(UnsupportedError, match="two cameras"):
        rig_cameras(cameras)
    assert rig_cameras(["b", "a"]) == ("b", "a")
