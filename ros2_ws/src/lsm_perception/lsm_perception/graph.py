"""Who publishes and who listens: the ROS graph as this node sees it, and why two ends do not connect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, LivelinessPolicy, QoSProfile, ReliabilityPolicy

UNKNOWN_NODE = "_NODE_NAME_UNKNOWN_"
MAX_NAMES = 4
INFINITE_NS = 2**62  # the graph tells "no limit" as the largest number of nanoseconds


@dataclass(frozen=True)
class Peer:
    """One end of a topic.

    Attributes:
        node: full name of the node, "" where discovery has not told it.
        kind: message type as in `sensor_msgs/msg/Image`.
        qos: what it offers or requests.
    """

    node: str
    kind: str
    qos: QoSProfile


class Graph:
    """Looks up the ends of topics; a lookup takes some ten microseconds and waits for nobody."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def publishers(self, topic: str) -> list[Peer]:
        """Return who publishes a topic (full name)."""
        return [peer_of(info) for info in self._node.get_publishers_info_by_topic(topic)]

    def subscriptions(self, topic: str) -> list[Peer]:
        """Return who listens to a topic (full name)."""
        return [peer_of(info) for info in self._node.get_subscriptions_info_by_topic(topic)]

    def published_topics(self, kind: str) -> list[str]:
        """Return the topics of a message type that others publish, sorted."""
        own = self._node.get_fully_qualified_name()
        names = [name for name, kinds in self._node.get_topic_names_and_types() if kind in kinds]
        others = [n for n in names if any(p.node != own and p.kind == kind for p in self.publishers(n))]
        return sorted(others)


def peer_of(info: Any) -> Peer:
    """Return one end from rclpy's TopicEndpointInfo."""
    known = UNKNOWN_NODE not in info.node_name
    name = f"{info.node_namespace.rstrip('/')}/{info.node_name}" if known else ""
    return Peer(name, info.topic_type, info.qos_profile)


def names_of(peers: Sequence[Peer]) -> str:
    """Return how many and which, for one line: `2 (/front, /rear)`."""
    names = sorted({peer.node or "a node not known yet" for peer in peers})
    more = ", ..." if len(names) > MAX_NAMES else ""
    return f"{len(peers)} ({', '.join(names[:MAX_NAMES])}{more})"


def mismatches(offered: QoSProfile, requested: QoSProfile) -> list[str]:
    """Return the policies that keep a publisher and a subscription apart, by the rules of DDS."""
    out = []
    if (offered.reliability, requested.reliability) == (ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE):
        out.append("reliability")
    if (offered.durability, requested.durability) == (DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL):
        out.append("durability")
    if longer(offered.deadline.nanoseconds, requested.deadline.nanoseconds):
        out.append("deadline")
    manual = LivelinessPolicy.MANUAL_BY_TOPIC
    if requested.liveliness == manual and offered.liveliness != manual:
        out.append("liveliness")
    elif longer(offered.liveliness_lease_duration.nanoseconds, requested.liveliness_lease_duration.nanoseconds):
        out.append("liveliness_lease_duration")
    return out


def longer(offered_ns: int, requested_ns: int) -> bool:
    """Whether a duration offered does not keep one requested; 0 and infinity stand for no limit."""
    limited = [0 < duration < INFINITE_NS for duration in (offered_ns, requested_ns)]
    return limited[1] and (not limited[0] or offered_ns > requested_ns)


def describe_mismatch(policies: Iterable[str], offered: QoSProfile, requested: QoSProfile) -> str:
    """Return `reliability (offered best effort, requested reliable)` for each policy."""
    parts = []
    for policy in policies:
        ends = [value_text(getattr(qos, policy)) for qos in (offered, requested)]
        parts.append(f"{policy} (offered {ends[0]}, requested {ends[1]})")
    return ", ".join(parts)


def value_text(value: Any) -> str:
    """Return a policy's value in words."""
    if hasattr(value, "nanoseconds"):
        return f"{value.nanoseconds / 1e9:g} s" if 0 < value.nanoseconds < INFINITE_NS else "no limit"
    return str(getattr(value, "name", value)).lower().replace("_", " ")
