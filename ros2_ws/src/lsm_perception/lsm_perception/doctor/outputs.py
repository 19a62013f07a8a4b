"""What the running nodes publish, and who listens: nothing is computed for nobody."""

from __future__ import annotations

from collections.abc import Iterator

from lsm_core.doctor import Fault, Finding, ok
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.target import ACTIVE

UNHEARD = Fault(
    "output.unheard",
    "note",
    "Nobody listens to any product of the node; clouds, masks and boxes are computed for listeners only.",
    "Subscribe: RViz with the package's view, or ros2 topic hz {topic}.",
    "troubleshooting.md#no-cloud",
)
FAULTS = (UNHEARD,)

SHOWN = 6
ALWAYS = ("transition_event", "scale")  # heard by supervisors; no work is done for them


def output_findings(evidence: Evidence) -> Iterator[Finding]:
    """Say for each active node who listens to what."""
    for target in evidence.targets:
        if target.state != ACTIVE:
            continue
        own = [t for t in evidence.graph.published_by(target.name) if t.startswith(f"{target.name}/")]
        products = [topic for topic in own if not topic.endswith(ALWAYS)]
        heard = {
            topic: sorted({peer.node or "a node not known yet" for peer in evidence.graph.subscriptions(topic)})
            for topic in products
        }
        listened = {topic: nodes for topic, nodes in heard.items() if nodes}
        name = f"Outputs of {target.name}"
        if not products:
            continue
        if not listened:
            topic = f"{target.name}/points"
            yield UNHEARD.seen(name, f"{len(products)} products, no listener", topic=topic)
            continue
        shown = [f"~{t.removeprefix(target.name)} ({', '.join(n)})" for t, n in list(listened.items())[:SHOWN]]
        more = f" and {len(listened) - SHOWN} more" if len(listened) > SHOWN else ""
        yield ok(name, f"heard: {', '.join(shown)}{more}")
