"""Poses that odometry or matched features contradict are reported, not used; masks are refreshed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import Harness
from lsm_perception_msgs.msg import Scale
from lsm_perception_msgs.srv import Stats
from rclpy.parameter import Parameter
from synthetic_world import View, walk


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(16)


TRACES = ("points", "relative_pose", "path", "map_points", "depth/image", "gaussians", "detections", "markers")


def test_a_rejected_pose_is_reported_and_counted_and_leaves_no_other_trace(
    rclpy_session: None, views: list[View]
) -> None:
    backend = FakeBackend(views)
    backend.bad_pose = True
    harness = Harness(backend, {"queries.texts": ["wall"], "pose_gate.two_view_check": False})
    try:
        harness.wait_active()
        harness.wait_connected("pair_pose", "segmentation/label", *TRACES)
        harness.send_odometry(views)
        harness.walk(views[:8])
        counted = harness.call(Stats, "stats")
        assert wait_until(lambda: len(harness.messages("pair_pose")) == counted.pairs)
        pairs = harness.messages("pair_pose")
        assert pairs and not any(m.accepted for m in pairs)
        assert {m.reason for m in pairs} == {"odometry_rotation"}
        assert {d.reason: d.count for d in counted.pairs_rejected} == {"odometry_rotation": len(pairs)}
        assert counted.pairs_accepted == 0 and counted.used == len(pairs) + 1  # the images are used: for masks
        assert wait_until(lambda: len(harness.messages("segmentation/label")) == len(pairs) + 1)
        assert {name: len(harness.messages(name)) for name in TRACES} == dict.fromkeys(TRACES, 0)
        lsm = [t for m in harness.messages("tf") for t in m.transforms if "lsm" in t.child_frame_id]
        assert lsm == [] and {m.state for m in harness.messages("scale")} == {Scale.UNKNOWN}
    finally:
        harness.close()


def test_a_rejected_pose_in_a_metric_map_changes_nothing_of_it(rclpy_session: None, views: list[View]) -> None:
    backend = FakeBackend(views)
    harness = Harness(backend, {"keyframes.retries": 3})
    try:
        harness.wait_active()
        harness.wait_connected("pair_pose", *TRACES)
        harness.send_odometry(views)
        harness.walk(views[:12])
        assert wait_until(lambda: any(m.state == Scale.METRIC for m in harness.messages("scale")))
        mapper = harness.node.runtime.cameras[""].mapper  # type: ignore[union-attr]
        scale, path, anchor = mapper.scale, mapper.path()[1], mapper.partner()[0]
        time.sleep(0.3)
        harness.forget()
        backend.bad_pose = True
        harness.walk(views[12:15])
        assert wait_until(lambda: any(not m.accepted for m in harness.messages("pair_pose")))
        assert not any(m.accepted for m in harness.messages("pair_pose"))
        assert {name: len(harness.messages(name)) for name in TRACES} == dict.fromkeys(TRACES, 0)
        assert not any("lsm" in t.child_frame_id for m in harness.messages("tf") for t in m.transforms)
        assert mapper.scale == scale and np.array_equal(mapper.path()[1], path) and mapper.partner()[0] is anchor
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


def test_nothing_is_attached_to_odom_when_that_is_off_and_no_frame_without_publish_tf(
    rclpy_session: None, views: list[View]
) -> None:
    parameters = {"attach_to_odom": False, "frame_prefix": "r1/"}
    later = walk(22)[16:]
    harness = Harness(FakeBackend([*views, *later]), parameters, listen=("scale", "pair_pose"))
    try:
        harness.wait_active()
        harness.send_odometry(views)
        harness.walk(views)
        assert wait_until(lambda: any(m.state == Scale.METRIC for m in harness.messages("scale")))
        edges = {(t.header.frame_id, t.child_frame_id) for m in harness.messages("tf") for t in m.transforms}
        assert ("r1/lsm_map", "r1/lsm_keyframe") in edges
        assert not any(parent == "odom" and "lsm" in child for parent, child in edges)
        assert harness.node.set_parameters([Parameter("publish_tf", value=False)])[0].successful
        time.sleep(0.3)
        harness.forget()
        harness.walk(later)
        assert not any("lsm" in t.child_frame_id for m in harness.messages("tf") for t in m.transforms)
        assert wait_until(lambda: any(m.accepted for m in harness.messages("pair_pose")))
    finally:
        harness.close()
