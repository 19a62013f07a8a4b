"""A /clock as a bag player or a simulator publishes it: runs at a rate, stands still, jumps."""

from __future__ import annotations

import threading
import time

from lsm_perception.conversions import stamp_from_ns
from rclpy.node import Node
from rosgraph_msgs.msg import Clock

PERIOD_S = 0.02


class ClockSource:
    """Publishes /clock from a thread of its own until closed."""

    def __init__(self, node: Node, start_ns: int, rate: float = 1.0) -> None:
        """Begin at a time.

        Args:
            node: that publishes.
            start_ns: the first time published.
            rate: seconds of /clock per second.
        """
        self._node = node
        self._publisher = node.create_publisher(Clock, "/clock", 10)
        self._lock = threading.Lock()
        self._ns, self._at_s, self._rate = start_ns, time.monotonic(), rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def now_ns(self) -> int:
        """Return the time it shows."""
        with self._lock:
            return self._ns + round((time.monotonic() - self._at_s) * self._rate * 1e9)

    def set(self, ns: int | None = None, rate: float | None = None) -> None:
        """Jump to a time, or go on at another rate; 0 stands still and goes on publishing."""
        now_ns = self.now_ns()
        with self._lock:
            self._ns, self._at_s = now_ns if ns is None else ns, time.monotonic()
            self._rate = self._rate if rate is None else rate

    def close(self) -> None:
        """Stop publishing."""
        self._stop.set()
        self._thread.join(5)
        self._node.destroy_publisher(self._publisher)

    def _run(self) -> None:
        while not self._stop.wait(PERIOD_S):
            self._publisher.publish(Clock(clock=stamp_from_ns(self.now_ns())))
