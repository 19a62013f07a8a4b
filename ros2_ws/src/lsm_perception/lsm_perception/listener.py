"""One input topic: its subscription, when messages came, and how many were lost on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription

from lsm_perception.qos import input_qos, overridable
from lsm_perception.topic_events import TopicEvents


class LossCounter:
    """Counts what a publisher sent and the callback never saw, by gaps in the publisher's sequence numbers.

    Numbers are the publisher's own and a message does not say whose, so gaps count only while there is one
    publisher; with more the middleware's own reports count. A gap is a message lost on the way, or one that a newer
    one replaced in the queue before the callback was free.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: int | None = None
        self._gapped = False
        self.total = 0

    def of_message(self, sequence_number: int | None, publishers: int) -> int:
        """Return how many messages are missing before this one."""
        with self._lock:
            last, self._last = self._last, sequence_number
            self._gapped = publishers == 1 and sequence_number is not None
            if not self._gapped:
                self._last = None
                return 0
            assert sequence_number is not None
            missing = max(0, sequence_number - last - 1) if last is not None else 0
            self.total += missing
            return missing

    def of_report(self, count: int) -> int:
        """Return how many of the losses that the middleware reports are not counted by gaps."""
        with self._lock:
            missing = 0 if self._gapped else count
            self.total += missing
            return missing

    def start_anew(self) -> None:
        """Forget the last number: publishers came or went."""
        with self._lock:
            self._last = None


class Listener:
    """A subscription with overridable QoS whose arrivals and losses are counted."""

    def __init__(
        self,
        node: Node,
        name: str,
        kind: type,
        topic: str,
        callback: Callable[[Any], None],
        events: TopicEvents,
        lost: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """Start listening, in a callback group of its own.

        Args:
            node: that listens.
            name: of the input in the QoS table (image, camera_info, odom, depth, mask).
            kind: message class.
            topic: name, relative to the node's namespace; remaps apply.
            callback: takes each message.
            events: counts what the middleware reports.
            lost: told how many messages were lost on the way.
        """
        self._node = node
        self._callback = callback
        self._lost = lost
        self._losses = LossCounter()
        self.name = name
        self.kind = message_type(kind)
        self.topic = node.resolve_topic_name(topic)
        self.qos: QoSProfile = input_qos(name)
        self.started_s = time.monotonic()
        self.last_s = float("-inf")
        self.received = 0
        self._subscription: Subscription = node.create_subscription(
            kind,
            topic,
            self._take,  # type: ignore[arg-type]  # rclpy passes the message's info to a callback of two
            self.qos,
            callback_group=MutuallyExclusiveCallbackGroup(),
            event_callbacks=events.of_subscription(self.topic, self.qos, self._on_report, self._losses.start_anew),
            qos_overriding_options=overridable(),
        )

    @property
    def lost(self) -> int:
        """Messages that were sent and never reached the callback."""
        return self._losses.total

    def destroy(self) -> None:
        """Stop listening."""
        self._node.destroy_subscription(self._subscription)

    def _take(self, message: Any, info: Mapping[str, Any]) -> None:
        self.last_s = time.monotonic()
        self.received += 1
        publishers = self._subscription.get_publisher_count()
        self._count(self._losses.of_message(info.get("publication_sequence_number"), publishers))
        self._callback(message)

    def _on_report(self, count: int) -> None:
        self._count(self._losses.of_report(count))

    def _count(self, lost: int) -> None:
        if lost:
            self._lost(lost)


def message_type(kind: type) -> str:
    """Return a message class's name as the graph says it: `sensor_msgs/msg/Image`."""
    package, _, rest = kind.__module__.partition(".")
    return f"{package}/{rest.partition('.')[0]}/{kind.__name__}"
