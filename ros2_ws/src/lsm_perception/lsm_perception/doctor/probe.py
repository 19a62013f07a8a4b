"""The doctor's own node: looks at the graph, listens, asks services; in a ROS context of its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.task import Future

from lsm_perception.doctor.snapshot import OWN_NAMES, Snapshot, own, take_snapshot

NAME = OWN_NAMES
LOOK_S = 0.1
QUIET_S = 0.6  # so long without a new node or topic ends the search, where anybody was found
LEAST_S, MOST_S = 1.2, 3.0
STOP_S = 2.0


class Probe:
    """A node that is spun by a thread of its own while the context lasts."""

    def __init__(self, namespace: str = "") -> None:
        """Join the graph.

        Args:
            namespace: of the node.

        Raises:
            Exception: what rclpy raises where the middleware refuses, such as RCLError without an enclave.
        """
        self._context = Context()
        rclpy.init(args=[], context=self._context)
        try:
            self.node = Node(
                NAME,
                context=self._context,
                namespace=namespace or None,
                start_parameter_services=False,
                enable_rosout=False,
            )
        except BaseException:
            self._context.try_shutdown()
            raise
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, name=NAME, daemon=True)
        self._thread.start()

    def __enter__(self) -> Probe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the graph."""
        self._executor.shutdown(timeout_sec=STOP_S)
        self._thread.join(STOP_S)
        self.node.destroy_node()
        self._context.try_shutdown()

    def discover(self) -> Snapshot:
        """Look until nothing new has turned up for a moment, and return what is there."""
        began_s = changed_s = time.monotonic()
        before: object = None
        while True:
            names = (self.node.get_node_names_and_namespaces(), self.node.get_topic_names_and_types())
            now_s = time.monotonic()
            changed_s, before = (now_s, names) if names != before else (changed_s, before)
            others = any(not own(name) for name, _ in names[0])
            settled = others and now_s - began_s > LEAST_S and now_s - changed_s > QUIET_S
            if settled or now_s - began_s > MOST_S:
                return take_snapshot(self.node)
            time.sleep(LOOK_S)

    def hear(self, kind: type, topic: str, qos: QoSProfile, take: Callable[[Any], None]) -> None:
        """Listen to a topic; `take` runs in the probe's thread."""
        self.node.create_subscription(kind, topic, take, qos)

    def ask(self, kind: type, name: str, **fields: Any) -> Question:
        """Ask a service; the answer is waited for later, so that several can be asked at once."""
        return Question(self.node.create_client(kind, name), kind.Request(**fields))  # type: ignore[attr-defined]

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()


class Question:
    """A request on its way."""

    def __init__(self, client: Client, request: Any) -> None:
        self._client = client
        self._request = request
        self._future: Future | None = None

    def answer(self, deadline_s: float) -> Any:
        """Return the reply, None where none comes until a moment of `time.monotonic`."""
        while time.monotonic() < deadline_s:
            if self._future is None and self._client.service_is_ready():
                self._future = self._client.call_async(self._request)
            if self._future is not None and self._future.done():
                return self._future.result()
            time.sleep(0.02)
        return None
