"""Replay: the bytes of a bag at their pace, latched transforms first, errors as one line."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("tf2_msgs.msg", reason="the workspace is not built: ./run setup")

import threading

from lsm_perception.playback_time import PlaybackTime
from lsm_perception.replay import BagPlayer, ReplayError
from lsm_perception.replay_controls import create_services
from lsm_perception.replay_options import ReplayOptions
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rosbags.rosbag2 import Writer
from rosbags.typesys import Stores, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from waiting import wait_until

START = 1_700_000_000_000_000_000
STEP = 50_000_000
COUNT = 12
STORE = get_typestore(Stores.ROS2_JAZZY)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bag with twelve images at 20 Hz, one latched transform, a header, and a clock."""
    path = tmp_path_factory.mktemp("replay") / "bag"
    types = STORE.types
    stamp, head = types["builtin_interfaces/msg/Time"], types["std_msgs/msg/Header"]
    with Writer(path, version=9) as writer:
        images = writer.add_connection("/cam/compressed", "sensor_msgs/msg/CompressedImage", typestore=STORE)
        static = writer.add_connection("/tf_static", "tf2_msgs/msg/TFMessage", typestore=STORE)
        clock = writer.add_connection("/clock", "rosgraph_msgs/msg/Clock", typestore=STORE)
        odd = writer.add_connection("/odd", "std_msgs/msg/Header", typestore=STORE)
        vector = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 1.0)
        turn = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
        link = types["geometry_msgs/msg/TransformStamped"](
            head(stamp(0, 0), "base"), "cam", types["geometry_msgs/msg/Transform"](vector, turn)
        )
        message = types["tf2_msgs/msg/TFMessage"]([link])
        writer.write(static, START, STORE.serialize_cdr(message, "tf2_msgs/msg/TFMessage"))
        writer.write(odd, START + 1, STORE.serialize_cdr(head(stamp(0, 0), "x"), "std_msgs/msg/Header"))
        recorded = types["rosgraph_msgs/msg/Clock"](stamp(7, 0))
        writer.write(clock, START + 2, STORE.serialize_cdr(recorded, "rosgraph_msgs/msg/Clock"))
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


class Playing:
    """A replay in a thread of its own."""

    def __init__(self, options: ReplayOptions) -> None:
        self.node = Node("replay_under_test")
        self._stop = threading.Event()
        self.player = BagPlayer(self.node, options, self._stop)
        self._thread = threading.Thread(target=self.player.play)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(10)
        self.node.destroy_node()


def times(listener: Listener) -> list[int]:
    return [m.clock.sec * 10**9 + m.clock.nanosec for m in listener.clock]


def play(options: ReplayOptions) -> int:
    node = Node("replay_under_test")
    try:
        return BagPlayer(node, options, threading.Event()).play()
    finally:
        time.sleep(0.3)
        node.destroy_node()


def test_messages_arrive_as_recorded_and_at_their_pace(bag: Path, listener: Listener) -> None:
    assert play(ReplayOptions(bag, delay_s=1.0)) == COUNT + 3
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


def test_a_recorded_clock_is_played_where_none_is_made(bag: Path, listener: Listener) -> None:
    play(ReplayOptions(bag, rate=10.0, delay_s=1.0))
    assert times(listener) == [7 * 10**9]


def test_the_clock_made_here_runs_forward_without_the_recorded_one(bag: Path, listener: Listener) -> None:
    play(ReplayOptions(bag, clock_hz=100, delay_s=1.0))
    heard = times(listener)
    assert len(heard) > COUNT and heard == sorted(heard)
    assert heard[0] >= START and heard[-1] <= START + 10 + COUNT * STEP


def test_started_paused_it_stands_still_until_it_is_resumed(bag: Path, listener: Listener) -> None:
    playing = Playing(ReplayOptions(bag, clock_hz=50, paused=True, delay_s=0.5))
    try:
        assert wait_until(lambda: len(listener.clock) > 20)
        assert set(times(listener)) == {START} and not listener.images
        playing.player.playback.resume()
        assert wait_until(lambda: len(listener.images) >= 4)
        playing.player.playback.pause()
        time.sleep(0.3)  # what was sent is still on its way
        images, ticks = len(listener.images), len(listener.clock)
        assert wait_until(lambda: len(listener.clock) > ticks + 20)
        assert len(listener.images) == images and len(set(times(listener)[ticks + 1 :])) == 1
        playing.player.playback.toggle()
        assert wait_until(lambda: len(listener.images) >= COUNT - 1)
        assert times(listener) == sorted(times(listener))
    finally:
        playing.close()


def test_a_loop_goes_back_to_the_start_with_its_clock(bag: Path, listener: Listener) -> None:
    playing = Playing(ReplayOptions(bag, loop=True, clock_hz=100, rate=3.0, delay_s=0.5))
    jumps = lambda: [b - a for a, b in itertools.pairwise(times(listener)) if b < a]  # noqa: E731
    try:
        assert wait_until(lambda: len(listener.images) > 2 * COUNT and len(jumps()) >= 2)
    finally:
        playing.close()
    assert max(jumps()) < -0.3 * COUNT * STEP


def test_services_pause_and_resume(bag: Path, listener: Listener) -> None:
    playing = Playing(ReplayOptions(bag, loop=True, delay_s=0.1))
    create_services(playing.node, playing.player.playback)
    executor = SingleThreadedExecutor()
    executor.add_node(playing.node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        for name, paused in (("pause", True), ("resume", False), ("toggle_paused", True), ("toggle_paused", False)):
            client = listener.node.create_client(Trigger, f"/replay_under_test/{name}")
            assert client.wait_for_service(10)
            future = client.call_async(Trigger.Request())
            assert wait_until(future.done) and future.result().success
            assert playing.player.playback.paused is paused
            assert future.result().message == ("paused" if paused else "playing")
    finally:
        executor.shutdown(timeout_sec=2.0)
        thread.join(5)
        playing.close()


def test_playback_time_runs_at_its_rate_and_stands_still_when_paused() -> None:
    real = iter([0.0, 0.0, 1.0, 2.0, 2.0, 2.0, 12.0, 12.0, 13.0]).__next__
    playback = PlaybackTime(5.0, now_s=real)  # at 0
    playback.start(100)  # at 0
    assert playback.now_ns() == 100 + 5 * 10**9  # at 1
    playback.pause()  # at 2, twice
    assert playback.now_ns() == 100 + 10 * 10**9
    playback.resume()  # at 2
    assert playback.now_ns() == 100 + 60 * 10**9  # at 12


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
