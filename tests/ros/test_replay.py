"""Replay: the bytes of a bag at their pace, latched transforms first, errors as one line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("tf2_msgs.msg", reason="the workspace is not built: ./run setup")

import threading

from lsm_perception.replay import BagPlayer, ReplayError, ReplayOptions, parse_arguments
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from tf2_msgs.msg import TFMessage

START = 1_700_000_000_000_000_000
STEP = 50_000_000
COUNT = 12
STORE = get_typestore(Stores.ROS2_JAZZY)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bag with twelve images at 20 Hz, one latched transform, and a type nobody has."""
    path = tmp_path_factory.mktemp("replay") / "bag"
    types = STORE.types
    stamp, head = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    with Writer(path, version=9) as writer:
        images = writer.add_connection("/cam/compressed", "sensor_msgs/msg/CompressedImage", typestore=STORE)
        static = writer.add_connection("/tf_static", "tf2_msgs/msg/TFMessage", typestore=STORE)
        odd = writer.add_connection("/odd", "std_msgs/msg/Header", typestore=STORE)
        vector = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 1.0)
        turn = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
        link = types["geometry_msgs/msg/TransformStamped"](
            head(stamp(0, 0), "base"), "cam", types["geometry_msgs/msg/Transform"](vector, turn)
        )
        message = types["tf2_msgs/msg/TFMessage"]([link])
        writer.write(static, START, STORE.serialize_cdr(message, "tf2_msgs/msg/TFMessage"))
        writer.write(odd, START + 1, STORE.serialize_cdr(head(stamp(0, 0), "x"), "std_msgs/msg/Header"))
        for i in range(COUNT):
            at = START + 10 + i * STEP
            message = types["sensor_msgs/msg/CompressedImage"](
                head(stamp(at // 10**9, at % 10**9), "cam"), "png", np.full(50_000, i, np.uint8)
            )
            writer.write(images, at, STORE.serialize_cdr(message, "sensor_msgs/msg/CompressedImage"))
    return path


class Listener:
    """Records what a replay sends."""

    def __init__(self) -> None:
        self.node = Node("replay_listener")
        self.images: list[tuple[float, CompressedImage]] = []
        self.static: list[TFMessage] = []
        self.clock: list[Clock] = []
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_subscription(
            CompressedImage,
            "/cam/compressed",
            lambda m: self.images.append((time.monotonic(), m)),
            qos_profile_sensor_data,
        )
        self.node.create_subscription(TFMessage, "/tf_static", self.static.append, latched)
        self.node.create_subscription(Clock, "/clock", self.clock.append, 100)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(5)
        self.node.destroy_node()


@pytest.fixture
def listener(rclpy_session: None) -> Iterator[Listener]:
    out = Listener()
    yield out
    out.close()


def play(options: ReplayOptions) -> int:
    node = Node("replay_under_test")
    try:
        return BagPlayer(node, options, threading.Event()).play()
    finally:
        time.sleep(0.3)
        node.destroy_node()


def test_messages_arrive_as_recorded_and_at_their_pace(bag: Path, listener: Listener) -> None:
    assert play(ReplayOptions(bag, delay_s=1.0)) == COUNT + 2
    assert len(listener.images) >= COUNT - 1 and len(listener.static) == 1
    for _, message in listener.images:
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        index = (stamp_ns - START - 10) // STEP
        assert (stamp_ns - START - 10) % STEP == 0 and set(message.data) == {index} and len(message.data) == 50_000
    elapsed = listener.images[-1][0] - listener.images[0][0]
    assert elapsed > 0.8 * (len(listener.images) - 1) * STEP * 1e-9


def test_a_part_is_played_with_the_latched_transform_of_before(bag: Path, listener: Listener) -> None:
    options = ReplayOptions(
        bag, rate=4.0, start_s=0.25, duration_s=0.2, delay_s=1.0, topics=("/cam/compressed", "/tf_static")
    )
    play(options)
    stamps = sorted(m.header.stamp.nanosec for _, m in listener.images)
    assert stamps and stamps[0] >= 250_000_000 and stamps[-1] < 450_000_010
    assert len(listener.static) == 1


def test_clock_is_published_and_runs_forward(bag: Path, listener: Listener) -> None:
    play(ReplayOptions(bag, clock=True, delay_s=1.0))
    times = [m.clock.sec * 10**9 + m.clock.nanosec for m in listener.clock]
    assert len(times) > COUNT and times == sorted(times)
    assert times[0] >= START and times[-1] <= START + 10 + COUNT * STEP


@pytest.mark.parametrize("content", [None, b"", b"not a bag at all"])
def test_what_is_no_bag_is_refused_with_a_reason(
    rclpy_session: None, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "x.mcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ReplayError, match=r"x\.mcap"):
        play(ReplayOptions(path, wait_s=0, delay_s=0))


def test_a_topic_that_is_not_there_is_refused(bag: Path, rclpy_session: None) -> None:
    with pytest.raises(ReplayError, match="no topic"):
        play(ReplayOptions(bag, topics=("/none",), wait_s=0, delay_s=0))


def test_command_line_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    options = parse_arguments(["b", "--rate", "2", "--loop", "--clock", "--start", "3"])
    assert (options.rate, options.loop, options.clock, options.start_s) == (2.0, True, True, 3.0)
    for bad in (["b", "--rate", "0"], ["b", "--start", "-1"], []):
        with pytest.raises(SystemExit):
            parse_arguments(bad)
