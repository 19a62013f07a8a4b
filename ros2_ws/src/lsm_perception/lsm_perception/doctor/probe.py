"""The doctor's own node: looks at the graph, listens, asks services; in a ROS context of its own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import rclpy
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, ShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rclpy.task import Future

from lsm_perception.doctor.snapshot import OWN_NAMES

logger = logging.getLogger(__name__)
NAME = OWN_NAMES
STOP_S, SPIN_S = 2.0, 0.2


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
        self._stopped = threading.Event()
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
        self._stopped.set()
        self._executor.shutdown(timeout_sec=STOP_S)
        self._thread.join(STOP_S)
        self.node.destroy_node()
        self._context.try_shutdown()

    def hear(self, kind: type, topic: str, qos: QoSProfile, take: Callable[[Any], None]) -> Subscription:
        """Listen to a topic; `take` runs in the probe's thread."""
        return self.node.create_subscription(kind, topic, take, qos)

    def hear_raw(self, kind: type, topic: str, qos: QoSProfile, take: Callable[[bytes], None]) -> Subscription:
        """Listen to a topic; `take` gets the messages as they came over the network."""
        return self.node.create_subscription(kind, topic, take, qos, raw=True)

    def ask(self, kind: type, name: str, **fields: Any) -> Question:
        """Prepare to ask a service."""
        return Question(self.node.create_client(kind, name), kind.Request(**fields))  # type: ignore[attr-defined]

    def _spin(self) -> None:
        while self._context.ok() and not self._stopped.is_set():
            try:
                self._executor.spin_once(timeout_sec=SPIN_S)
            except (ExternalShutdownException, ShutdownException):
                return
            except Exception as error:  # bytes that are no message of the type, for example
                logger.debug("%s: %s", type(error).__name__, error)


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
