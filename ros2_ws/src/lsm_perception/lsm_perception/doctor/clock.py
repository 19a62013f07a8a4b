"""The clock that nodes go by: the machine's, or /clock."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise

from lsm_core.doctor import Fault, Finding, ok
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.records import Arrival
from lsm_perception.graph import names_of

TOPIC = "/clock"
ABSENT = Fault(
    "clock.absent",
    "problem",
    "use_sim_time is true and nothing comes on /clock: the node's time stands at zero.",
    "Play the bag with --clock, start the simulation, or use_sim_time:=false.",
    "troubleshooting.md#clock",
)
TWO = Fault(
    "clock.two",
    "problem",
    "Several nodes publish /clock: time leaps between them.",
    "End all but one of them.",
    "reliability.md",
)
STANDING = Fault(
    "clock.standing",
    "note",
    "/clock comes and stands still: the bag or the simulation is paused.",
    "Let it run on.",
    "reliability.md",
)
JUMPED = Fault(
    "clock.jumped",
    "note",
    "/clock went back while the doctor listened: the bag began again; the node resets itself.",
    "Nothing, where that is meant; else play without --loop.",
    "reliability.md",
)
UNUSED = Fault(
    "clock.unused",
    "note",
    "/clock is published and the node goes by the machine's clock: ages and latencies of a bag mean nothing then.",
    "Start the node with use_sim_time:=true, or stop what publishes /clock.",
    "troubleshooting.md#clock",
)
FAULTS = (ABSENT, TWO, STANDING, JUMPED, UNUSED)


def clock_findings(evidence: Evidence) -> Iterator[Finding]:
    """Judge the clock of each node, or the one that the user asks for."""
    publishers = evidence.graph.publishers(TOPIC)
    stamps = [arrival.stamp_ns for arrival in evidence.clock.arrivals]
    who = names_of(publishers) if publishers else "nobody publishes it"
    if len({peer.node for peer in publishers}) > 1:
        yield TWO.seen("Clock", f"publishers: {who}")
    for name, simulated in users(evidence):
        label = f"Clock of {name}"
        if not simulated:
            if stamps:
                yield UNUSED.seen(label, f"the machine's; /clock is published by {who}")
            else:
                yield ok(label, "the machine's")
        elif not stamps:
            yield ABSENT.seen(label, f"use_sim_time is true, nothing on /clock: {who}")
        elif any(after < before for before, after in pairwise(stamps)):
            yield JUMPED.seen(label, f"/clock by {who}")
        elif len(stamps) > 1 and stamps[0] == stamps[-1]:
            yield STANDING.seen(label, f"/clock at {stamps[-1] / 1e9:.1f} s")
        else:
            yield ok(label, f"/clock by {who}")


def users(evidence: Evidence) -> list[tuple[str, bool]]:
    """Return who goes by which clock: (name, whether use_sim_time is true)."""
    found = [(target.name, bool(target["use_sim_time"])) for target in evidence.targets]
    asked = evidence.settings.get("use_sim_time")
    return found or ([("the node to be started", asked == "true")] if asked else [])


def now_at(arrival: Arrival, clock: tuple[Arrival, ...], simulated: bool) -> int | None:
    """Return what a node's clock said when a message came, nanoseconds; None where it had no time yet.

    Args:
        arrival: of the message.
        clock: of /clock, oldest first.
        simulated: whether the node goes by /clock.
    """
    if not simulated:
        return arrival.wall_ns
    index = bisect_right(clock, arrival.mono_s, key=lambda tick: tick.mono_s)
    return clock[index - 1].stamp_ns if index else None
