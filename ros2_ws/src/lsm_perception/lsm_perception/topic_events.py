"""What the middleware reports about topics: incompatible QoS on either side, lost messages, new listeners."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.event_handler import QoSPublisherEventType, QoSSubscriptionEventType
from rclpy.qos import QoSPolicyKind, QoSProfile

from lsm_perception.event_handlers import EventCallbacks
from lsm_perception.graph import Graph, describe_mismatch, mismatches, names_of
from lsm_perception.symptoms import Symptom, see


class TopicEvents:
    """Counts events per topic; an incompatible peer is reported at once and named for as long as it is there."""

    def __init__(self, graph: Graph, problem: Callable[[str], None]) -> None:
        """Count from zero.

        Args:
            graph: tells who the peers are.
            problem: takes a line for the log and diagnostics.
        """
        self._graph = graph
        self._problem = problem
        self._lock = threading.Lock()
        self._incompatible: Counter[tuple[str, str]] = Counter()
        self._lost: Counter[str] = Counter()
        # (topic, whether we subscribe) -> our own QoS
        self._suspects: dict[tuple[str, bool], QoSProfile] = {}

    def of_subscription(
        self, topic: str, qos: QoSProfile, lost: Callable[[int], None], matched: Callable[[], None]
    ) -> Any:
        """Return the callbacks of a subscription (EventCallbacks, which rclpy takes without deriving from its own).

        Args:
            topic: full name.
            qos: of the subscription; overrides may still change it.
            lost: told how many messages the middleware says are lost.
            matched: told when publishers come or go.
        """

        def on_lost(event: Any) -> None:
            count = int(event.total_count_change)
            with self._lock:
                self._lost[topic] += count
            lost(count)

        kinds = QoSSubscriptionEventType
        return EventCallbacks(
            {
                kinds.RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS: lambda event: self._on_incompatible(
                    event, topic, qos, True
                ),
                kinds.RCL_SUBSCRIPTION_MESSAGE_LOST: on_lost,
                kinds.RCL_SUBSCRIPTION_MATCHED: lambda _event: matched(),
            }
        )

    def of_publisher(self, topic: str, qos: QoSProfile, listener: Callable[[], None]) -> Any:
        """Return the callbacks of a publisher; `listener` is told when somebody new listens."""

        def on_matched(event: Any) -> None:
            if event.current_count_change > 0:
                listener()

        kinds = QoSPublisherEventType
        return EventCallbacks(
            {
                kinds.RCL_PUBLISHER_OFFERED_INCOMPATIBLE_QOS: lambda event: self._on_incompatible(
                    event, topic, qos, False
                ),
                kinds.RCL_PUBLISHER_MATCHED: on_matched,
            }
        )

    def counts(self) -> dict[str, int]:
        """Return events so far: `incompatible.<topic>.<policy>` and `lost.<topic>`."""
        with self._lock:
            out = {f"incompatible.{topic}.{policy}": n for (topic, policy), n in self._incompatible.items()}
            return out | {f"lost.{topic}": n for topic, n in self._lost.items()}

    def standing(self) -> list[str]:
        """Return a line per topic whose incompatible peers are still there."""
        with self._lock:
            suspects = list(self._suspects.items())
        lines = []
        for (topic, subscribes), qos in suspects:
            line = incompatible_peers(self._graph, topic, qos, subscribes)
            if line:
                lines.append(line)
        return lines

    def clear(self) -> None:
        """Set the counters to zero; peers that do not fit stay known."""
        with self._lock:
            self._incompatible.clear()
            self._lost.clear()

    def _on_incompatible(self, event: Any, topic: str, qos: QoSProfile, subscribes: bool) -> None:
        policy = policy_name(event.last_policy_kind)
        with self._lock:
            self._incompatible[(topic, policy)] += max(1, int(event.total_count_change))
            self._suspects[(topic, subscribes)] = qos
        line = incompatible_peers(self._graph, topic, qos, subscribes)
        peer = "A publisher" if subscribes else "A subscription"
        line = line or f"{peer} of {topic} has incompatible QoS: {policy}; nothing passes between them."
        self._problem(see(line, Symptom.QOS))


def incompatible_peers(graph: Graph, topic: str, qos: QoSProfile, subscribes: bool) -> str:
    """Return one line about the peers of a topic that cannot connect with our end, "" where all can."""
    found, told = [], ""
    policies: list[str] = []
    for peer in graph.publishers(topic) if subscribes else graph.subscriptions(topic):
        ends = (peer.qos, qos) if subscribes else (qos, peer.qos)
        apart = mismatches(*ends)
        if apart:
            found.append(peer)
            policies, told = policies or apart, told or describe_mismatch(apart, *ends)
    if not found:
        return ""
    side = "subscription" if subscribes else "publisher"
    others = "publisher(s)" if subscribes else "subscription(s)"
    fix = f"see qos_overrides.{topic}.{side}.{policies[0]}"
    return f"incompatible QoS on {topic}: {told} with {others} {names_of(found)}; {fix}."


def policy_name(kind: Any) -> str:
    """Return the name of a policy that an event carries."""
    try:
        return QoSPolicyKind(int(kind)).name.lower()
    except (TypeError, ValueError):
        return "unknown"
