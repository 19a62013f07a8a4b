"""The ROS graph at one moment: nodes, topics and their ends, without the doctor's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rclpy.node import Node

from lsm_perception.graph import Graph, Peer, peer_of

SIGN, SERVICE = "lsm_perception_msgs/srv/GetQueries", "get_queries"  # what only a perception node serves
OWN_NAMES, OWN_TOPICS = "lsm_doctor", "/lsm_doctor/"  # what the doctor's own nodes and topics begin with


@dataclass(frozen=True)
class Snapshot(Graph):
    """What a look at the graph shows; answers as Graph does.

    Attributes:
        nodes: full names, each as often as it is there, sorted.
        sent: who publishes, by topic.
        taken: who listens, by topic.
        served: types of services, by full name.
        ours: full names of the perception nodes.
    """

    nodes: tuple[str, ...] = ()
    sent: Mapping[str, Sequence[Peer]] = field(default_factory=dict)
    taken: Mapping[str, Sequence[Peer]] = field(default_factory=dict)
    served: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ours: frozenset[str] = frozenset()

    def publishers(self, topic: str) -> list[Peer]:
        """Return who publishes a topic (full name)."""
        return list(self.sent.get(topic, ()))

    def subscriptions(self, topic: str) -> list[Peer]:
        """Return who listens to a topic (full name)."""
        return list(self.taken.get(topic, ()))

    def published_topics(self, kind: str) -> list[str]:
        """Return the topics of a message type that others than perception nodes publish, sorted."""
        return sorted(
            name
            for name, peers in self.sent.items()
            if any(peer.kind == kind and peer.node not in self.ours for peer in peers)
        )

    @property
    def topics(self) -> list[str]:
        """All topics that have an end, sorted."""
        return sorted({name for ends in (self.sent, self.taken) for name, peers in ends.items() if peers})

    def published_by(self, node: str) -> list[str]:
        """Return the topics that a node publishes, sorted."""
        return sorted(name for name, peers in self.sent.items() if any(peer.node == node for peer in peers))

    def listened_by(self, node: str) -> dict[str, Peer]:
        """Return the subscriptions of a node by topic."""
        found = {name: [p for p in peers if p.node == node] for name, peers in self.taken.items()}
        return {name: peers[0] for name, peers in sorted(found.items()) if peers}


def take_snapshot(node: Node) -> Snapshot:
    """Look at the graph as a node sees it now."""
    served = dict(node.get_service_names_and_types())
    names = sorted(f"{space.rstrip('/')}/{name}" for name, space in node.get_node_names_and_namespaces())
    # A sender that has just turned up has no name yet: its topic says whose it is.
    topics = [name for name, _ in node.get_topic_names_and_types() if not name.startswith(OWN_TOPICS)]
    sent = {name: [peer_of(info) for info in node.get_publishers_info_by_topic(name)] for name in topics}
    taken = {name: [peer_of(info) for info in node.get_subscriptions_info_by_topic(name)] for name in topics}
    return Snapshot(
        tuple(name for name in names if not own(name)),
        {name: [peer for peer in peers if not own(peer.node)] for name, peers in sent.items()},
        {name: [peer for peer in peers if not own(peer.node)] for name, peers in taken.items()},
        served,
        frozenset(name.removesuffix(f"/{SERVICE}") for name, kinds in served.items() if SIGN in kinds),
    )


def own(name: str) -> bool:
    """Whether a full name is that of a doctor's node."""
    return name.rpartition("/")[2].startswith(OWN_NAMES)
