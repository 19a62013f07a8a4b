"""The planner's side of a test: the example nodes beside the real one, and a subscriber as Nav2 has them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from nav_msgs.msg import OccupancyGrid
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from waiting import wait_until


def parameters(**values: Any) -> dict[str, Any]:
    """Return the options of an example node with these parameters."""
    return {"parameter_overrides": [Parameter(name, value=value) for name, value in values.items()]}


class Planner(Node):
    """Hears one topic as a planner does."""

    def __init__(self, kind: type, topic: str, qos: QoSProfile, name: str = "planner") -> None:
        super().__init__(name)
        self._lock = threading.Lock()
        self._heard: list[Any] = []
        self.publishers_seen = lambda: self.count_publishers(topic)
        self.create_subscription(kind, topic, self._hear, qos)

    def _hear(self, message: Any) -> None:
        with self._lock:
            self._heard.append(message)

    @property
    def heard(self) -> list[Any]:
        """What has come so far."""
        with self._lock:
            return list(self._heard)

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[Any]:
        """Wait until so many messages have come."""
        assert wait_until(lambda: len(self.heard) >= count, timeout_s), len(self.heard)
        return self.heard


@contextmanager
def spun_together(*nodes: Node) -> Iterator[None]:
    """Spin nodes in one thread, and destroy them at the end."""
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown(timeout_sec=2.0)
        thread.join(5.0)
        for node in nodes:
            node.destroy_node()


def cells_of(grid: OccupancyGrid, value: int) -> NDArray[np.float64]:
    """Return the middles [N, 2] of the cells with a value, metres in the grid's frame."""
    cells = np.asarray(grid.data, np.int8).reshape(grid.info.height, grid.info.width)
    rows, columns = np.nonzero(cells == value)
    origin = grid.info.origin.position
    return np.stack(
        [
            origin.x + (columns + 0.5) * grid.info.resolution,
            origin.y + (rows + 0.5) * grid.info.resolution,
        ],
        -1,
    )
