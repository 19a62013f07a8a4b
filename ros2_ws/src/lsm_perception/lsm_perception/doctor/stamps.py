"""Stamps of images: zero, out of order, far from the clock; and topics that two cameras share."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from lsm_core.doctor import Fault, Finding, ok
from lsm_perception.doctor.clock import now_at
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.streams import Stream
from lsm_perception.graph import names_of
from lsm_perception.stamp_guard import StampGuard, StampVerdict

ZERO = Fault(
    "stamp.zero",
    "problem",
    "Images come with a stamp of zero; every one of them is dropped as bad_stamp.",
    "Let the driver fill header.stamp with the time of exposure.",
    "node.md#what-becomes-of-an-image",
)
DISORDER = Fault(
    "stamp.disorder",
    "problem",
    "Stamps repeat, go back or leap: these images are dropped as bad_stamp (a note for a few of them).",
    "One publisher per image topic; a driver that stamps with one clock, and stamps each image once.",
    "node.md#what-becomes-of-an-image",
)
JUMPED = Fault(
    "stamp.jumped",
    "note",
    "The stamps went back for good while the doctor listened: a bag began again; the node resets itself.",
    "Nothing, where that is meant; else play without --loop.",
    "reliability.md",
)
STALE = Fault(
    "stamp.stale",
    "problem",
    "Images are older on arrival than input.max_age_s, so that all are dropped as stale.",
    "Synchronise the clocks of both machines (chrony); a bag: play with --clock and use_sim_time:=true; or "
    "input.max_age_s: 0.",
    "troubleshooting.md#stale-images",
)
OFFSET = Fault(
    "stamp.offset",
    "note",
    "Stamps of images differ by more than a second from the clock that the node goes by: two clocks, or a bag.",
    "Synchronise the clocks of both machines (chrony); a bag: play with --clock and use_sim_time:=true.",
    "troubleshooting.md#stale-images",
)
TWO_SENDERS = Fault(
    "topic.two_publishers",
    "note",
    "Several nodes publish on one image topic; their images mix.",
    "One topic per camera: cameras:=left,right, or remap one of them.",
    "launch.md",
)
FAULTS = (ZERO, DISORDER, JUMPED, STALE, OFFSET, TWO_SENDERS)

FAR_S = 1.0
FEW = 0.1
BACK_S = 1.0  # input.jump_back_s by default


def stamp_findings(evidence: Evidence) -> Iterator[Finding]:
    """Judge the stamps of every image stream that was heard."""
    for stream in evidence.streams:
        if stream.heard.name != "image" or not stream.arrivals:
            continue
        publishers = evidence.graph.publishers(stream.topic)
        if len({peer.node for peer in publishers}) > 1:
            yield TWO_SENDERS.seen(stream.label, f"publishers: {names_of(publishers)}")
        yield from _order(stream)
        if any(arrival.stamp_ns > 0 for arrival in stream.arrivals):
            yield from _offset(stream, evidence)


def span(seconds: float) -> str:
    """Return a length of time in the unit that people would use."""
    for limit, unit_s, unit in ((1, 1e-3, "ms"), (120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit_s:.3g} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _order(stream: Stream) -> Iterator[Finding]:
    name, arrivals = f"Stamps of {stream.topic}", stream.arrivals
    zero = sum(arrival.stamp_ns <= 0 for arrival in arrivals)
    if zero:
        yield ZERO.seen(name, f"{zero} of {len(arrivals)} are zero", stream.level)
        return
    guard = StampGuard(BACK_S)
    verdicts = [guard.judge(arrival.stamp_ns) for arrival in arrivals]
    jumps = verdicts.count(StampVerdict.JUMPED_BACK)
    bad = max(0, verdicts.count(StampVerdict.BAD) - jumps)  # each jump is doubted once first
    if jumps:
        yield JUMPED.seen(name, f"{jumps} time(s) back")
    if bad:
        told = f"{bad} of {len(arrivals)} repeat, go back or leap"
        yield DISORDER.seen(name, told, "note" if bad < FEW * len(arrivals) else stream.level)


def _offset(stream: Stream, evidence: Evidence) -> Iterator[Finding]:
    simulated = bool(stream.parameter("use_sim_time"))
    ticks = evidence.clock.arrivals
    offsets = [
        (arrival.stamp_ns - now) / 1e9
        for arrival in stream.arrivals
        if arrival.stamp_ns > 0 and (now := now_at(arrival, ticks, simulated)) is not None
    ]
    if not offsets:
        return
    offset_s, name = median(offsets), f"Stamps of {stream.topic}"
    clock = "/clock" if simulated else "the machine's clock"
    told = f"{span(abs(offset_s))} {'behind' if offset_s < 0 else 'ahead of'} {clock} on arrival"
    limit_s = float(stream.parameter("input.max_age_s"))
    if 0 < limit_s < -offset_s:
        yield STALE.seen(name, f"{told}; input.max_age_s is {limit_s:g}", stream.level)
    elif abs(offset_s) > FAR_S:
        yield OFFSET.seen(name, told)
    else:
        yield ok(name, told)
