"""METRIC, DEGRADED and new epochs over DDS: what each state publishes, and what a new epoch takes back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import FRAME, Harness
from lsm_perception.conversions.poses import pose_message, transform_message
from lsm_perception.conversions.stamps import stamp_from_ns, stamp_to_ns
from lsm_perception_msgs.msg import PairPose, Scale
from nav_msgs.msg import Odometry
from std_msgs.msg import Header
from synthetic_world import View, look, render
from tf2_msgs.msg import TFMessage

METRIC_ONLY = ("depth/image", "depth/camera_info", "detections")


def circle(count: int) -> list[View]:
    """A way round in the middle of the room: as many keyframes as wanted, none near a wall."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False) * 1.5
    poses = [look(0.9 * np.sin(a), 0.1 * np.cos(a), -1.0 + 0.9 * np.cos(a), 4 * np.sin(2 * a)) for a in angles]
    return [render(T, 1_700_000_000_000_000_003 + i * 200_000_000) for i, T in enumerate(poses)]


@pytest.fixture(scope="module")
def views() -> list[View]:
    return circle(30)


@pytest.fixture
def node(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    parameters = {"scale.stale_pairs": 3, "queries.texts": ["wall"], "pose_gate.two_view_check": False}
    harness = Harness(FakeBackend(views), parameters)
    harness.wait_active()
    harness.wait_connected("points", "pair_pose", "map_points", "path", *METRIC_ONLY)
    yield harness
    harness.close()


def states(node: Harness) -> list[int]:
    return [m.state for m in node.messages("scale")]


def after(node: Harness, name: str, stamp_ns: int) -> list:
    """Return the messages of images from a stamp on."""
    return [m for m in node.messages(name) if stamp_to_ns(m.header.stamp) >= stamp_ns]


def test_metres_that_grow_stale_are_published_as_unknown_until_they_are_back(
    node: Harness, views: list[View]
) -> None:
    node.send_odometry(views[:10])
    node.walk(views[:10])
    assert wait_until(lambda: Scale.METRIC in states(node))
    node.walk(views[10:20])  # no odometry
    assert wait_until(lambda: states(node)[-1] == Scale.DEGRADED)
    degraded = node.messages("scale")[-1]
    assert degraded.source == Scale.SOURCE_ODOMETRY and degraded.epoch == 1
    pairs = after(node, "pair_pose", views[10].stamp_ns)
    first_ns = min(stamp_to_ns(m.header.stamp) for m in pairs if m.unit != PairPose.UNIT_METRIC)
    assert after(node, "pair_pose", first_ns)
    assert {name: len(after(node, name, first_ns)) for name in METRIC_ONLY} == dict.fromkeys(METRIC_ONLY, 0)
    assert {m.header.frame_id for m in after(node, "points", first_ns)} == {"lsm_camera_unscaled"}
    late = [t for m in node.messages("tf") for t in m.transforms if stamp_to_ns(t.header.stamp) >= first_ns]
    assert not any(t.child_frame_id == "lsm_map" for t in late)
    node.send_odometry(views[20:])
    node.walk(views[20:])
    assert wait_until(lambda: states(node)[-1] == Scale.METRIC)
    assert node.messages("scale")[-1].epoch == 1
    assert wait_until(lambda: len(after(node, "depth/image", views[20].stamp_ns)) > 0)
    assert after(node, "points", views[20].stamp_ns)[-1].header.frame_id == FRAME


def test_a_new_epoch_starts_a_new_segment_and_clears_the_map_and_the_path(node: Harness, views: list[View]) -> None:
    node.send_odometry(views[:12])
    node.walk(views[:12])
    assert wait_until(lambda: Scale.METRIC in states(node))
    grown = [replace(v, T_world_cam=stretched(v.T_world_cam, views[11], 4.0)) for v in views[12:]]
    node.send_odometry(grown)
    node.walk(views[12:])
    assert wait_until(lambda: node.messages("scale")[-1].epoch == 2), states(node)
    last = node.messages("scale")[-1]
    assert last.state == Scale.METRIC
    pairs = [m for m in node.messages("pair_pose") if m.accepted]
    old, new = ([m for m in pairs if m.segment == s] for s in (1, 2))
    assert new and {m.epoch for m in new} == {2} and {m.epoch for m in old} <= {0, 1}
    began_ns = stamp_to_ns(new[0].header.stamp)
    paths = after(node, "path", began_ns)
    assert wait_until(lambda: len(after(node, "path", began_ns)) > 0)
    assert all(stamp_to_ns(p.header.stamp) >= stamp_to_ns(new[0].reference_stamp) for m in paths for p in m.poses)
    empty = [m for m in after(node, "map_points", began_ns) if m.width == 0]
    assert empty, "the map of the old epoch was not taken back"


def stretched(T_world_cam: np.ndarray, origin: View, factor: float) -> np.ndarray:
    """Return a pose whose distance from another one's position is that many times as large."""
    out = T_world_cam.copy()
    out[:3, 3] = origin.T_world_cam[:3, 3] + factor * (out[:3, 3] - origin.T_world_cam[:3, 3])
    return out


def test_the_odom_topic_with_static_extrinsics_gives_metres(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"odometry.source": "topic"}, listen=("scale", "pair_pose"))
    try:
        harness.wait_active()
        harness.wait_connected("pair_pose")
        publisher = harness.client.create_publisher(Odometry, "odom", 50)
        assert wait_until(lambda: publisher.get_subscription_count() > 0)
        T_base_cam = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1.0]])
        harness.tf_static.publish(TFMessage(transforms=[transform_message(T_base_cam, "base_link", FRAME, 0)]))
        for view in views[:12]:
            message = Odometry(
                header=Header(stamp=stamp_from_ns(view.stamp_ns), frame_id="odom"), child_frame_id="base_link"
            )
            message.pose.pose = pose_message(view.T_world_cam @ np.linalg.inv(T_base_cam))
            publisher.publish(message)
        source = harness.node.runtime.odometry  # type: ignore[union-attr]
        assert wait_until(lambda: source.pose(FRAME, views[11].stamp_ns) is not None)
        harness.walk(views[:12])
        assert wait_until(lambda: any(m.state == Scale.METRIC for m in harness.messages("scale")))
        assert harness.messages("scale")[-1].source == Scale.SOURCE_ODOMETRY
    finally:
        harness.close()
