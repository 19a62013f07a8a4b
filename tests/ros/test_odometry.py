"""The robot's motion at an image's stamp: from tf or from the odom topic, interpolated, or a reason."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.conversions import stamp_from_ns
from lsm_perception.conversions.poses import pose_message, transform_message
from lsm_perception.odometry import OdometrySource
from lsm_perception.parameter_groups import OdometryParameters
from nav_msgs.msg import Odometry
from scipy.spatial.transform import Rotation
from tf2_ros import Buffer

BASE = 1_700_000_000_000_000_000
T_BASE_CAM = np.array([[0, 0, 1, 0.3], [-1, 0, 0, 0.1], [0, -1, 0, 0.7], [0, 0, 0, 1.0]])


def pose_at(seconds: float) -> np.ndarray:
    """Return T_odom_base of a steady turn and drive."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("z", 0.5 * seconds).as_matrix()
    T[:3, 3] = (1.2 * seconds, -0.4 * seconds, 0)
    return T


def static(buffer: Buffer) -> None:
    buffer.set_transform_static(transform_message(T_BASE_CAM, "base_link", "cam", 0), "test")


def message(seconds: float) -> Odometry:
    out = Odometry(child_frame_id="base_link")
    out.header.stamp = stamp_from_ns(BASE + round(seconds * 1e9))
    out.header.frame_id = "odom"
    out.pose.pose = pose_message(pose_at(seconds))
    return out


def source(buffer: Buffer, **limits: object) -> OdometrySource:
    return OdometrySource(buffer, "odom", OdometryParameters(**({"max_wait_s": 0.0} | limits)))  # type: ignore[arg-type]


def test_tf_is_interpolated_at_the_stamp() -> None:
    buffer = Buffer()
    static(buffer)
    for tick in range(5):
        buffer.set_transform(
            transform_message(pose_at(0.1 * tick), "odom", "base_link", BASE + tick * 100_000_000), "test"
        )
    found = source(buffer).pose("cam", BASE + 237_000_000)
    assert found is not None and np.allclose(found, pose_at(0.237) @ T_BASE_CAM, atol=1e-4)


def test_topic_is_interpolated_and_goes_through_the_static_extrinsics() -> None:
    buffer = Buffer()
    static(buffer)
    odometry = source(buffer, source="topic")
    for tick in range(5):
        odometry.add(message(0.1 * tick))
    found = odometry.pose("cam", BASE + 237_000_000)
    assert found is not None and np.allclose(found, pose_at(0.237) @ T_BASE_CAM, atol=1e-4)
    exact = odometry.pose("cam", BASE + 200_000_000)
    assert exact is not None and np.allclose(exact, pose_at(0.2) @ T_BASE_CAM, atol=1e-9)


@pytest.mark.parametrize("offset_ns", [-1, 400_000_001])
def test_topic_is_never_extrapolated(offset_ns: int) -> None:
    buffer = Buffer()
    static(buffer)
    odometry = source(buffer, source="topic")
    for tick in range(5):
        odometry.add(message(0.1 * tick))
    assert odometry.pose("cam", BASE + offset_ns) is None and "reach" in odometry.last_reason


def test_long_gaps_are_not_bridged() -> None:
    buffer = Buffer()
    static(buffer)
    odometry = source(buffer, source="topic", max_gap_s=0.5)
    odometry.add(message(0.0))
    odometry.add(message(0.8))
    assert odometry.pose("cam", BASE + 400_000_000) is None


def test_broken_messages_are_ignored_with_a_reason() -> None:
    buffer = Buffer()
    static(buffer)
    odometry = source(buffer, source="topic")
    broken = message(0.05)
    broken.pose.pose.orientation.w = float("nan")
    for item in (message(0.0), broken, message(0.1)):
        odometry.add(item)
    found = odometry.pose("cam", BASE + 50_000_000)
    assert found is not None and np.allclose(found, pose_at(0.05) @ T_BASE_CAM, atol=1e-4)


def test_odometry_of_another_frame_is_refused_by_name() -> None:
    buffer = Buffer()
    static(buffer)
    odometry = source(buffer)
    foreign = message(0.0)
    foreign.header.frame_id = "map"
    odometry.add(foreign)
    assert odometry.pose("cam", BASE) is None and "in frame 'map'" in odometry.last_reason


def test_a_stamp_far_ahead_is_forgotten_by_a_reset() -> None:
    buffer = Buffer()
    static(buffer)
    odometry = source(buffer)

    def drive() -> None:
        for seconds in (0.0, 0.1):
            stamp_ns = BASE + round(seconds * 1e9)
            buffer.set_transform(transform_message(pose_at(seconds), "odom", "base_link", stamp_ns), "test")

    buffer.set_transform(transform_message(np.eye(4), "odom", "base_link", BASE + 3600 * 10**9), "test")
    drive()
    assert odometry.pose("cam", BASE + 50_000_000) is None and "past" in odometry.last_reason
    odometry.reset()
    drive()
    assert odometry.pose("cam", BASE + 50_000_000) is not None


def test_without_extrinsics_there_is_no_answer_but_a_reason() -> None:
    odometry = source(Buffer(), source="topic")
    odometry.add(message(0.0))
    odometry.add(message(0.1))
    assert odometry.pose("cam", BASE + 50_000_000) is None and odometry.last_reason


def test_a_looping_recording_starts_again() -> None:
    buffer = Buffer()
    static(buffer)
    odometry = source(buffer, source="topic")
    for seconds in (10.0, 10.1, 0.0, 0.1):
        odometry.add(message(seconds))
    assert odometry.pose("cam", BASE + 50_000_000) is not None


def test_none_switches_it_off() -> None:
    odometry = source(Buffer(), source="none")
    assert odometry.pose("cam", BASE) is None and odometry.last_reason == "off"
