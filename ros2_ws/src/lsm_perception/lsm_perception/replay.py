"""Play a bag over DDS: `python -m lsm_perception.replay BAG --rate 2 --loop --clock`.

Stands in for `ros2 bag play` where rosbag2 is missing, with the same names of options. Messages are sent as the
bytes in the bag, so stamps and payloads are those of the recording to the bit. The space bar and the services
/lsm_replay/pause, /lsm_replay/resume and /lsm_replay/toggle_paused (std_srvs/Trigger) pause it.
"""

from __future__ import annotations

import importlib
import logging
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rosbags.highlevel import AnyReader, AnyReaderError
from rosbags.interfaces import Connection
from rosgraph_msgs.msg import Clock

from lsm_perception.dds_profile import use_profile
from lsm_perception.node import exit_now
from lsm_perception.playback_time import PlaybackTime
from lsm_perception.replay_controls import create_services, space_bar
from lsm_perception.replay_options import ReplayOptions, parse_arguments
from lsm_perception.symptoms import Symptom, see

logger = logging.getLogger("lsm_perception.replay")

IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
CLOCK = "/clock"
LOOK_S = 0.1  # longest sleep before looking whether to stop


class ReplayError(Exception):
    """The bag cannot be played; the message says why and what to do."""


def message_class(type_name: str) -> Any | None:
    """Return the Python class of `package/msg/Name`, or None when this machine does not have it."""
    package, _, name = type_name.partition("/msg/")
    try:
        return getattr(importlib.import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError):
        return None


def publisher_qos(connection: Connection) -> QoSProfile:
    """Return reliable QoS (it serves every subscriber), latched for /tf_static and topics recorded as latched."""
    offers = getattr(connection.ext, "offered_qos_profiles", None) or []
    latched = connection.topic.endswith("tf_static") or any(
        getattr(getattr(offer, "durability", None), "name", "") == "TRANSIENT_LOCAL" for offer in offers
    )
    return QoSProfile(
        depth=100 if latched else 10,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


class BagPlayer:
    """Publishes a bag's messages at their recorded pace."""

    def __init__(self, node: Node, options: ReplayOptions, stop: threading.Event) -> None:
        self._node = node
        self._options = options
        self._stop = stop
        self._publishers: dict[str, Publisher] = {}
        self._clock = node.create_publisher(Clock, CLOCK, 10) if options.clock_hz else None
        self._clock_due_s = 0.0
        self.playback = PlaybackTime(options.rate, options.paused)
        self.sent = 0

    def play(self) -> int:
        """Play to the end or until stopped, and return the number of messages sent.

        Raises:
            ReplayError: the bag is missing, damaged, of ROS 1, or has nothing that can be published.
        """
        try:
            with AnyReader([self._options.bag]) as reader:
                if not reader.is2:
                    raise ReplayError(f"{self._options.bag} is a ROS 1 bag. Convert it with rosbags-convert.")
                connections = self._advertise(reader.connections)
                self._wait_for_subscribers(connections)
                while not self._stop.is_set():
                    self._play_once(reader, connections)
                    if not self._options.loop:
                        break
        except (AnyReaderError, OSError) as error:
            raise ReplayError(f"Cannot read the bag {self._options.bag}: {error}") from error
        return self.sent

    def _advertise(self, connections: Sequence[Connection]) -> list[Connection]:
        """Create one publisher per topic that can be published, and return those connections."""
        usable = []
        for connection in connections:
            if self._options.topics and connection.topic not in self._options.topics:
                continue
            if self._clock is not None and connection.topic == CLOCK:  # two clocks would jump back and forth
                continue
            message_type = message_class(connection.msgtype)
            if message_type is None:
                line = see("Skipping %s: type %s is not installed.", Symptom.REPLAY)
                logger.warning(line, connection.topic, connection.msgtype)
                continue
            usable.append(connection)
            if connection.topic not in self._publishers:
                self._publishers[connection.topic] = self._node.create_publisher(
                    message_type,
                    connection.topic,
                    publisher_qos(connection),
                    qos_overriding_options=QoSOverridingOptions.with_default_policies(),
                )
        if not usable:
            raise ReplayError(f"{self._options.bag} has no topic to play. Check --topics.")
        return usable

    def _wait_for_subscribers(self, connections: Sequence[Connection]) -> None:
        images = [self._publishers[c.topic] for c in connections if c.msgtype in IMAGE_TYPES]
        watched = images or list(self._publishers.values())
        deadline = time.monotonic() + self._options.wait_s
        while time.monotonic() < deadline and not any(p.get_subscription_count() for p in watched):
            if self._stop.wait(0.05):
                return
        self._stop.wait(self._options.delay_s)

    def _play_once(self, reader: AnyReader, connections: Sequence[Connection]) -> None:
        first_ns = reader.start_time + int(self._options.start_s * 1e9)
        self._send_latched_before(reader, connections, first_ns)
        self.playback.start(first_ns)
        for connection, stamp_ns, data in self._messages(reader, connections, first_ns):
            if not self._wait_until(stamp_ns):
                return
            self._send(connection, data)

    def _messages(
        self, reader: AnyReader, connections: Sequence[Connection], first_ns: int
    ) -> Iterator[tuple[Connection, int, bytes]]:
        last_ns = None if self._options.duration_s <= 0 else first_ns + int(self._options.duration_s * 1e9)
        yield from reader.messages(connections, start=first_ns, stop=last_ns)

    def _send_latched_before(self, reader: AnyReader, connections: Sequence[Connection], first_ns: int) -> None:
        """Send the latched messages that lie before the part to play: a later listener would have them."""
        latched = [c for c in connections if publisher_qos(c).durability == DurabilityPolicy.TRANSIENT_LOCAL]
        if latched and first_ns > reader.start_time:
            for connection, _, data in reader.messages(latched, stop=first_ns):
                self._send(connection, data)

    def _send(self, connection: Connection, data: bytes) -> None:
        self._publishers[connection.topic].publish(bytes(data))
        self.sent += 1

    def _wait_until(self, stamp_ns: int) -> bool:
        """Wait for a moment of the recording, keeping /clock going; False when stopped."""
        longest_s = LOOK_S if self._clock is None else min(LOOK_S, 1 / self._options.clock_hz)
        while True:
            come = self.playback.wait(stamp_ns, longest_s)
            self._publish_clock(min(self.playback.now_ns(), stamp_ns))
            if come or self._stop.is_set():
                return not self._stop.is_set()

    def _publish_clock(self, now_ns: int) -> None:
        """Publish /clock where it is due."""
        now_s = time.monotonic()
        if self._clock is not None and now_s >= self._clock_due_s:
            self._clock.publish(clock_message(now_ns))
            self._clock_due_s = now_s + 0.5 / self._options.clock_hz


def clock_message(stamp_ns: int) -> Clock:
    """Return /clock at a time in nanoseconds."""
    message = Clock()
    message.clock.sec, message.clock.nanosec = divmod(max(stamp_ns, 0), 1_000_000_000)
    return message


def main(arguments: Sequence[str] | None = None) -> int:
    """Play a bag; return 0 at its end or when interrupted, 1 when it cannot be played."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    words = list(sys.argv[1:] if arguments is None else arguments)
    # ROS would take name:=value words for remappings, which they are only after --ros-args.
    at = words.index("--ros-args") if "--ros-args" in words else len(words)
    ros_words = ["replay", *words[at:]]
    options = parse_arguments([*words[:at], *remove_ros_args(ros_words)[1:]])
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    use_profile()
    rclpy.init(args=ros_words, signal_handler_options=SignalHandlerOptions.NO)
    node = Node("lsm_replay", parameter_overrides=[])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    spinning = threading.Thread(target=executor.spin, daemon=True)
    spinning.start()
    try:
        player = BagPlayer(node, options, stop)
        create_services(node, player.playback)
        with space_bar(player.playback):
            sent = player.play()
    except ReplayError as error:
        logger.error(see(str(error), Symptom.REPLAY))
        return 1
    finally:
        executor.shutdown(timeout_sec=2.0)
        spinning.join(2.0)
        node.destroy_node()
        rclpy.shutdown()
    logger.info("Sent %d messages.", sent)
    return 0


if __name__ == "__main__":
    # Threads of the middleware that still run must not meet an interpreter that is taken down.
    exit_now(main())
