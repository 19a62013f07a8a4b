"""The running perception nodes: their lifecycle states, names, and what they complain of themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lsm_core.doctor import Fault, Finding, ok
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.target import ACTIVE, Target
from lsm_perception.silence import COMPRESSED

ABSENT = Fault(
    "node.absent",
    "note",
    "No perception node is on the graph (or not in this namespace), so that it cannot be asked.",
    "Start it: ./run bringup {arguments}, or the same words after ros2 launch lsm_perception bringup.launch.py.",
    "launch.md",
)
INACTIVE = Fault(
    "node.inactive",
    "problem",
    "The node is not active: it listens to nothing.",
    "ros2 lifecycle set {node} activate, or start it with autostart:=true.",
    "troubleshooting.md#lifecycle",
)
UNCONFIGURED = Fault(
    "node.unconfigured",
    "problem",
    "The node is not configured: it was not asked to, is still at it, or configure failed.",
    "Its log has a line 'Cannot configure: ...' with the fix where it failed; then ros2 lifecycle set {node} "
    "configure, and activate.",
    "troubleshooting.md#cannot-configure",
)
MUTE = Fault(
    "node.mute",
    "problem",
    "The node is on the graph and does not answer: it hangs, or has just died (others see it for 20 s more).",
    "Look at its log; run the doctor again after 20 s; end and start the process.",
    "troubleshooting.md#lifecycle",
)
TWICE = Fault(
    "node.twice",
    "problem",
    "Several nodes have one full name: services and parameters answer by chance, remaps and logs mix.",
    "Give each a namespace (namespace:=robot1) or end one; a killed node is seen for 20 s more.",
    "launch.md",
)
COMPLAINT = Fault(
    "node.complaint",
    "note",
    "The node itself says in /diagnostics that something is wrong (a problem where it says ERROR).",
    "What the line says; the pages list causes and cures by its words.",
    "troubleshooting.md",
)
FAULTS = (ABSENT, INACTIVE, UNCONFIGURED, MUTE, TWICE, COMPLAINT)

WARN, ERROR = 1, 2


def node_findings(evidence: Evidence) -> Iterator[Finding]:
    """Judge the nodes."""
    if not evidence.targets:
        others = len(set(evidence.graph.nodes))
        images = [stream.topic for stream in evidence.streams if stream.heard.name == "image"]
        topic = images[0] if images else "TOPIC"
        more = " image_transport:=compressed" if topic.endswith(COMPRESSED) else ""
        arguments = f"image_topic:={topic.removesuffix(COMPRESSED)}{more}"
        told = f"not among the {others} node(s) on this graph"
        yield ABSENT.seen("Perception node", told, arguments=arguments)
    yield from _twice(evidence)
    for target in evidence.targets:
        yield state_finding(target)


def complaint_findings(evidence: Evidence, said: list[Finding]) -> Iterator[Finding]:
    """Yield what the nodes say of themselves and no other finding has said.

    Args:
        evidence: of the session.
        said: the other findings.
    """
    names = {target.name for target in evidence.targets}
    topics = {stream.topic for stream in evidence.streams if any(stream.topic in f.name for f in said if f.fix)}
    told: set[str] = set()
    for name, status in sorted(evidence.diagnostics.items()):
        level, node = level_of(status), name.partition(": ")[0]
        if node not in names or level < WARN or any(topic in status.message for topic in topics):
            continue
        if status.message not in told:
            told.add(status.message)
            yield COMPLAINT.seen(f"Diagnostics {name}", status.message, "problem" if level == ERROR else "note")


def state_finding(target: Target) -> Finding:
    """Judge a node's lifecycle state."""
    name = f"Node {target.name}"
    if target.state is None:
        return MUTE.seen(name, "no answer from its lifecycle service")
    if target.state == ACTIVE:
        words = f"{target['backend']} on {target['device']}" if target.answered else "parameters not told"
        return ok(name, f"active, {words}")
    if target.state == "unconfigured":
        return UNCONFIGURED.seen(name, "unconfigured", node=target.name)
    return INACTIVE.seen(name, f"{target.state}", node=target.name)


def level_of(status: Any) -> int:
    """Return the level of a DiagnosticStatus as a number; rclpy gives one byte."""
    return int.from_bytes(status.level, "little") if isinstance(status.level, bytes) else int(status.level)


def _twice(evidence: Evidence) -> Iterator[Finding]:
    counts = Counter(evidence.graph.nodes)
    for name, count in sorted(counts.items()):
        if count > 1:
            ours = name in {target.name for target in evidence.targets}
            yield TWICE.seen(f"Node {name}", f"{count} nodes have this name", "problem" if ours else "note")
