"""The doctor's own node: looks at the graph, listens, asks services; in a ROS context of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.task import Future

from lsm_perception.doctor.snapshot import OWN_NAMES

NAME = OWN_NAMES
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

    def hear(self, kind: type, topic: str, qos: QoSProfile, take: Callable[[Any], None]) -> Subscription:
        """Listen to a topic; `take` runs in the probe's thread."""
        return self.node.create_subscription(kind, topic, take, qos)

    def ask(self, kind: type, name: str, **fields: Any) -> Question:
        """Prepare to ask a service."""
        return Question(self.node.create_client(kind, name), kind.Request(**fields))  # type: ignore[attr-defined]

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()


class Question:
    """A request on its way; `poll` moves it on, and nothing waits."""

    def __init__(self, client: Client, request: Any) -> None:
        self._client = client
        self._request = request
        self._future: Future | None = None

    def poll(self) -> None:
        """Send the request as soon as somebody can answer it."""
        if self._future is None and self._client.service_is_ready():
            self._future = self._client.call_async(self._request)

    @property
    def reply(self) -> Any:
        """The reply, None while there is none."""
        return self._future.result() if self._future is not None and self._future.done() else None
