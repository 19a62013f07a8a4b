"""Every pair of ends on the node's topics that cannot connect, by the rules of DDS."""

from __future__ import annotations

from collections.abc import Iterator

from lsm_core.doctor import Fault, Finding, ok
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.graph import Peer, describe_mismatch, mismatches

INPUT = Fault(
    "qos.input",
    "problem",
    "A publisher offers less than the node asks for; nothing passes between these two.",
    "Remove or change the node's qos_overrides.{topic}.subscription.{policy}, or make {peer} offer more.",
    "troubleshooting.md#qos",
)
OUTPUT = Fault(
    "qos.output",
    "problem",
    "A listener asks for more than the node offers; it hears nothing.",
    "Change the QoS of {peer} ({policy}), or start the node with qos_overrides.{topic}.publisher.{policy}.",
    "troubleshooting.md#qos",
)
FAULTS = (INPUT, OUTPUT)

UNKNOWN = "a node not known yet"


def qos_findings(evidence: Evidence) -> Iterator[Finding]:
    """Compare all ends on topics of the running nodes."""
    names = {target.name for target in evidence.targets}
    pairs, bad = 0, 0
    for topic in evidence.graph.topics:
        for sender in evidence.graph.publishers(topic):
            for taker in evidence.graph.subscriptions(topic):
                if sender.kind != taker.kind or not {sender.node, taker.node} & names:
                    continue
                pairs += 1
                apart = mismatches(sender.qos, taker.qos)
                if apart:
                    bad += 1
                    yield _apart(topic, sender, taker, apart, names)
    if names and not bad:
        yield ok("QoS", f"{pairs} pair(s) of publisher and subscription, all compatible")


def _apart(topic: str, sender: Peer, taker: Peer, apart: list[str], names: set[str]) -> Finding:
    ours = taker.node in names
    peer = (sender if ours else taker).node or UNKNOWN
    told = describe_mismatch(apart, sender.qos, taker.qos)
    words = f"{sender.node or UNKNOWN} to {taker.node or UNKNOWN}: {told}"
    fault = INPUT if ours else OUTPUT
    return fault.seen(f"QoS {topic}", words, topic=topic, policy=apart[0], peer=peer)
