"""The robot's side of the benchmark: sends images at a pace, notes when their clouds arrive, reads the counters."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

from lsm_perception_msgs.srv import Reset, Stats
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo

from lsm_perception.bench.errors import BenchError
from lsm_perception.bench.footage import Footage, stamp_of, stamped
from lsm_perception.publishers import TYPES
from lsm_perception.qos import output_qos

NODE = "/lsm_perception"
SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
REPLY_S = 30.0


@dataclass(frozen=True)
class Sent:
    """Images of one run: how many, and for how many seconds."""

    count: int
    seconds: float


class BenchClient(Node):
    """Publishes and listens; messages stay serialised, so that this side costs little."""

    def __init__(self, footage: Footage, transport: str, listen: tuple[str, ...]) -> None:
        super().__init__("lsm_bench")
        self._footage = footage
        self._images = footage.endless()
        topic = "image/compressed" if transport == "compressed" else "image"
        self._image_publisher = self.create_publisher(footage.image_type, topic, SENSOR)
        self._info_publisher = self.create_publisher(CameraInfo, "camera_info", SENSOR)
        self._stats = self.create_client(Stats, f"{NODE}/stats")
        self._reset = self.create_client(Reset, f"{NODE}/reset")
        self._lock = threading.Lock()
        self._latencies_ms: list[float] = []
        for name in listen:
            on_message = self._on_points if name == "points" else _ignore
            qos = output_qos(name)
            qos.depth = 10
            self.create_subscription(TYPES[name], f"{NODE}/{name}", on_message, qos, raw=True)

    @property
    def ready(self) -> bool:
        """Whether the node listens and answers."""
        return bool(self._image_publisher.get_subscription_count()) and self._stats.service_is_ready()

    def send(self, rate_hz: float, seconds: float) -> Sent:
        """Send images at a pace for some time."""
        started = time.monotonic()
        count = max(1, round(rate_hz * seconds))
        for index in range(count):
            pause = started + index / rate_hz - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            now_ns = time.time_ns()
            self._info_publisher.publish(stamped(self._footage.info, now_ns))
            self._image_publisher.publish(stamped(next(self._images), now_ns))
        pause = started + count / rate_hz - time.monotonic()
        time.sleep(max(pause, 0.0))
        return Sent(count, time.monotonic() - started)

    def take_latencies_ms(self) -> list[float]:
        """Return image stamp to arrival of each cloud since the last call, milliseconds."""
        with self._lock:
            taken, self._latencies_ms = self._latencies_ms, []
        return taken

    def ask_stats(self, reset: bool = False) -> Stats.Response:
        """Return the node's counters.

        Raises:
            BenchError: no answer.
        """
        return self._call(self._stats, Stats.Request(reset=reset), "stats")

    def reset_node(self) -> None:
        """Let the node forget its map.

        Raises:
            BenchError: no answer.
        """
        self._call(self._reset, Reset.Request(), "reset")

    def _call(self, client: Any, request: Any, name: str) -> Any:
        future = client.call_async(request)
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(REPLY_S) or future.result() is None:
            raise BenchError(f"The node did not answer ~/{name} within {REPLY_S:g} s.")
        return future.result()

    def _on_points(self, message: bytes) -> None:
        age_ms = (time.time_ns() - stamp_of(message)) * 1e-6
        with self._lock:
            self._latencies_ms.append(age_ms)


def _ignore(message: bytes) -> None:
    """Only receive."""
