"""Poses that odometry or matched features contradict are reported, not used; masks are refreshed."""

from __future__ import annotations

import pytest
from conftest import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import Harness
from lsm_perception_msgs.msg import Scale
from synthetic_world import View, walk


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(16)


def test_odometry_that_disagrees_rejects_the_pose_but_refreshes_masks(
    rclpy_session: None, views: list[View]
) -> None:
    backend = FakeBackend(views)
    backend.bad_pose = True
    harness = Harness(backend, {"queries.texts": ["wall"], "pose_gate.two_view_check": False})
    try:
        harness.wait_active()
        harness.wait_connected("pair_pose", "segmentation/label", "points")
        harness.send_odometry(views)
        harness.walk(views[:8])
        pairs = harness.messages("pair_pose")
        assert pairs and not any(m.accepted for m in pairs)
        assert {m.reason for m in pairs} == {"odometry_rotation"}
        assert len(harness.messages("segmentation/label")) == len(pairs) + 1
        assert harness.messages("points") == [] and harness.messages("relative_pose") == []
        lsm = [t for m in harness.messages("tf") for t in m.transforms if "lsm" in t.child_frame_id]
        assert lsm == []
    finally:
        harness.close()


def test_features_that_disagree_reject_the_pose_without_odometry(rclpy_session: None, views: list[View]) -> None:
    backend = FakeBackend(views)
    backend.bad_pose = True
    harness = Harness(backend, listen=("pair_pose",))
    try:
        harness.wait_active()
        harness.wait_connected("pair_pose")
        harness.walk(views[:6])
        assert {m.reason for m in harness.messages("pair_pose")} == {"two_view_rotation"}
    finally:
        harness.close()


def test_nothing_is_attached_to_odom_when_that_is_off(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"attach_to_odom": False, "frame_prefix": "r1/"}, listen=("scale",))
    try:
        harness.wait_active()
        harness.send_odometry(views)
        harness.walk(views)
        assert wait_until(lambda: any(m.state == Scale.METRIC for m in harness.messages("scale")))
        edges = {(t.header.frame_id, t.child_frame_id) for m in harness.messages("tf") for t in m.transforms}
        assert ("r1/lsm_map", "r1/lsm_keyframe") in edges
        assert not any(parent == "odom" and "lsm" in child for parent, child in edges)
    finally:
        harness.close()
