"""Why nothing comes on a topic: one line that names the cause and the fix."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from rclpy.qos import QoSProfile

from lsm_perception.graph import Graph, Peer, describe_mismatch, mismatches, names_of

COMPRESSED = "/compressed"
COMPRESSED_KIND = "sensor_msgs/msg/CompressedImage"
MAX_SUGGESTIONS = 3


@dataclass(frozen=True)
class Listened:
    """A topic this node listens to.

    Attributes:
        name: of the input (image, camera_info, depth, odom, mask).
        topic: full name.
        kind: message type as in `sensor_msgs/msg/Image`.
        qos: requested.
    """

    name: str
    topic: str
    kind: str
    qos: QoSProfile


def why_silent(heard: Listened, graph: Graph) -> str:
    """Return the most likely cause, by what the graph shows."""
    peers = graph.publishers(heard.topic)
    if not peers:
        return "nobody publishes it" + where_instead(heard, graph)
    fitting = [peer for peer in peers if peer.kind == heard.kind]
    if not fitting:
        return wrong_type(heard, peers)
    apart = [(peer, mismatches(peer.qos, heard.qos)) for peer in fitting]
    if all(policies for _, policies in apart):
        peer, policies = apart[0]
        told = describe_mismatch(policies, peer.qos, heard.qos)
        setting = f"qos_overrides.{heard.topic}.subscription.{policies[0]}"
        return f"publishers {names_of(fitting)} have incompatible QoS: {told}; change {setting}"
    compatible = [peer for peer, policies in apart if not policies]
    return (
        f"publishers {names_of(compatible)} have compatible QoS, but no message comes: "
        "do they publish, and does the network pass large messages?"
    )


def where_instead(heard: Listened, graph: Graph) -> str:
    """Return where the data may be instead, and which argument to set; "" where nothing is found."""
    if heard.name == "image":
        compressed = heard.topic.endswith(COMPRESSED)
        sibling = heard.topic.removesuffix(COMPRESSED) if compressed else heard.topic + COMPRESSED
        peers = graph.publishers(sibling)
        if peers:
            transport = "raw" if compressed else "compressed"
            return f", but {sibling} has publishers {names_of(peers)}: set image_transport:={transport}"
    found = graph.published_topics(heard.kind)
    if not found:
        return ""
    near = difflib.get_close_matches(heard.topic, found, MAX_SUGGESTIONS, 0.0)
    argument = "" if heard.name == "mask" else f" or set {heard.name}_topic"
    return f"; {heard.kind} is published on {', '.join(near)}: remap '{heard.name}'{argument}"


def wrong_type(heard: Listened, peers: list[Peer]) -> str:
    """Return that the publishers send another type."""
    kinds = ", ".join(sorted({peer.kind for peer in peers}))
    text = f"publishers {names_of(peers)} send {kinds}, this node takes {heard.kind} there"
    if heard.name != "image":
        return text
    if COMPRESSED_KIND in kinds:
        return f"{text}: set image_transport:=compressed and remap 'image/compressed' to it"
    if heard.kind == COMPRESSED_KIND:
        return f"{text}: set image_transport:=raw"
    return text
