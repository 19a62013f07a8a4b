"""The soak's own ROS node: hears every output, asks, resets, pauses and disturbs the node under test."""

from __future__ import annotations

import struct
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lsm_perception_msgs.msg import ResultCode
from lsm_perception_msgs.srv import QueryText, Reset, Stats
from nav_msgs.msg import Odometry
from rclpy.client import Client
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from sensor_msgs.msg import CompressedImage, Image

from lsm_perception.demo.source import Source
from lsm_perception.publishers import TYPES
from lsm_perception.qos import output_qos
from lsm_perception.soak.malformed import MalformedMessages

NODE = "/lsm_perception"
TEXTS = (["chair"], ["table", "floor"], ["a wooden door", "window", "lamp"])
EXPECTED_CODES = (ResultCode.OK, ResultCode.NO_SCALE, ResultCode.NOT_READY, ResultCode.NOT_FOUND)
GIVE_UP_S = 30.0
LATENCY_WINDOW_S = 60.0
KEPT_STAMPS = 600


class SoakClient(Node):
    """Callbacks only count; everything is read under `lock`. Outputs are heard as bytes, which is cheap."""

    def __init__(self, source: Source, seed: int) -> None:
        super().__init__("lsm_soak")
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.last_mask_s = time.monotonic()
        self.query_ms: deque[float] = deque(maxlen=100)
        self.calls: Counter[str] = Counter()
        self.latest_stats: Stats.Response | None = None
        self._arrivals: OrderedDict[bytes, float] = OrderedDict()
        self._latencies: deque[tuple[float, float]] = deque()
        self._waiting: dict[str, tuple[Future, float]] = {}
        topics = source.topics
        self._compressed = topics.compressed
        self._malformed = MalformedMessages(np.random.default_rng(seed), source.optical_frame)
        self._stamp_ns = source.start_ns
        image_type = CompressedImage if topics.compressed else Image
        self._images = self.create_publisher(image_type, topics.image_topic, 10)
        self._odometry = self.create_publisher(Odometry, topics.odom_topic, 10) if topics.odom_topic else None
        best_effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(image_type, topics.image_topic, self._on_image, best_effort, raw=True)
        for name, kind in TYPES.items():
            if name == "gaussians":
                continue  # off by default, and the heaviest
            topic = f"/{name}" if name == "diagnostics" else f"{NODE}/{name}"
            self.create_subscription(kind, topic, self._counter(name), output_qos(name), raw=True)
        self._own_clients: dict[str, Client] = {
            "stats": self.create_client(Stats, f"{NODE}/stats"),
            "query": self.create_client(QueryText, f"{NODE}/query_text"),
            "reset": self.create_client(Reset, f"{NODE}/reset"),
            "state": self.create_client(ChangeState, f"{NODE}/change_state"),
        }

    @property
    def ready(self) -> bool:
        """Whether the node's services are there."""
        return all(client.service_is_ready() for client in self._own_clients.values())

    def ask_stats(self) -> None:
        """Ask for the counters; they come into `latest_stats`."""
        self._call("stats", Stats.Request(), self._on_stats)

    def query(self) -> None:
        """Ask for words on the newest keyframe."""
        asked = time.monotonic()
        texts = TEXTS[self.calls["query"] % len(TEXTS)]

        def answered(reply: QueryText.Response) -> None:
            self.query_ms.append((time.monotonic() - asked) * 1e3)
            self.calls["query_failed"] += reply.code not in EXPECTED_CODES

        self._call("query", QueryText.Request(texts=texts, target=QueryText.Request.LATEST), answered)

    def reset(self) -> None:
        """Make the node forget keyframes, map and scale."""
        self._call("reset", Reset.Request(), lambda reply: None)

    def change_state(self, transition: int) -> None:
        """Ask for a lifecycle transition."""
        self._call("state", ChangeState.Request(transition=Transition(id=transition)), self._on_state)

    def disturb(self) -> int:
        """Publish one malformed image and one malformed odometry message; returns how many images."""
        self._stamp_ns += 1
        make = self._malformed.compressed if self._compressed else self._malformed.image
        self._images.publish(make(self._stamp_ns)[1])
        if self._odometry is not None:
            self._odometry.publish(self._malformed.odometry(self._stamp_ns))
        return 1

    def give_up(self) -> None:
        """Forget calls that were not answered in time, and count them."""
        with self.lock:
            late = [n for n, (_, asked) in self._waiting.items() if time.monotonic() - asked > GIVE_UP_S]
            for name in late:
                future, _ = self._waiting.pop(name)
                self._own_clients[name].remove_pending_request(future)
                self.calls["unanswered"] += 1

    def latency_quantiles(self) -> tuple[float, float]:
        """Return p50 and p99 of image heard to mask heard over the last minute, ms; NaN for none."""
        with self.lock:
            while self._latencies and time.monotonic() - self._latencies[0][0] > LATENCY_WINDOW_S:
                self._latencies.popleft()
            values = [latency for _, latency in self._latencies]
        if not values:
            return float("nan"), float("nan")
        p50, p99 = np.quantile(values, (0.5, 0.99))
        return float(p50), float(p99)

    def _call(self, name: str, request: Any, answered: Callable[[Any], None]) -> None:
        """Call a service, unless the last call of it still waits."""
        with self.lock:
            if name in self._waiting:
                return
            future = self._own_clients[name].call_async(request)
            self._waiting[name] = (future, time.monotonic())

        def done(finished: Future) -> None:
            reply = finished.result()
            with self.lock:
                if self._waiting.get(name, (None,))[0] is finished:
                    del self._waiting[name]
                self.calls[name] += 1
                if reply is not None:
                    answered(reply)

        future.add_done_callback(done)

    def _on_stats(self, reply: Stats.Response) -> None:
        self.latest_stats = reply
        self.calls["unbalanced"] += reply.delivered != reply.used + sum(d.count for d in reply.dropped)

    def _on_state(self, reply: ChangeState.Response) -> None:
        self.calls["state_refused"] += not reply.success

    def _on_image(self, data: bytes) -> None:
        with self.lock:
            # The same stamp comes again in the next loop: the newest counts, and is the youngest.
            stamp = stamp_bytes(data)
            self._arrivals[stamp] = time.monotonic()
            self._arrivals.move_to_end(stamp)
            while len(self._arrivals) > KEPT_STAMPS:
                self._arrivals.popitem(last=False)

    def _counter(self, name: str) -> Callable[[bytes], None]:
        def count(data: bytes) -> None:
            now = time.monotonic()
            with self.lock:
                self.counts[name] += 1
                if name == "segmentation/label":
                    self.last_mask_s = now
                    arrived = self._arrivals.pop(stamp_bytes(data), None)
                    if arrived is not None:
                        self._latencies.append((now, (now - arrived) * 1e3))

        return count


def stamp_bytes(data: bytes) -> bytes:
    """Return the stamp of a serialised message that begins with a Header: 8 bytes after CDR's 4."""
    return struct.unpack_from("8s", data, 4)[0]
