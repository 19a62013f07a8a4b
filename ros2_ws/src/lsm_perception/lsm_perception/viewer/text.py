"""The panel's words: Markdown of status, answers and keyframes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lsm_perception.conversions.semantics import palette
from lsm_perception.viewer.records import Answer, KeyframeRecord, ScaleRecord, StatusLine

GOOD, WARNING, BAD, UNKNOWN = "#2b9348", "#e0a100", "#d00000", "#999999"
LEVELS = (GOOD, WARNING, BAD, UNKNOWN)
SCALES = {"metric": GOOD, "degraded": WARNING, "unknown": UNKNOWN}
# What stands in a cell of a table, or in a line, must not be taken for Markdown or HTML.
_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]()#+!|~>"} | {"<": "&lt;", "&": "&amp;", "\n": " "})


def dot(colour: str) -> str:
    """Return a dot of a CSS colour."""
    return f'<span style="color:{colour}">&#9679;</span>'


def plain(text: str, most: int = 200) -> str:
    """Return text that shows as it is, shortened."""
    return (text if len(text) <= most else text[: most - 1] + "…").translate(_SPECIAL)


def status_text(
    node: str, connected: bool, scale: ScaleRecord, lines: Sequence[StatusLine], metric_map: bool | None
) -> str:
    """Return the status: whether the node is there, its scale, and each part of its diagnostics."""
    if not connected:
        known = "What you see is the last it said." if lines else "Start it: `./run bringup image_topic:=...`"
        return f"{dot(BAD)} **{plain(node)} is not there.** {known}"
    out = [f"{dot(GOOD)} {plain(node)}", scale_text(scale)]
    if metric_map is not None:
        out.append(f"Shown in {'**metres**' if metric_map else 'the map’s **own unit**, not metres'}.")
    said: set[str] = set()
    for line in lines:
        if line.part.startswith("scale") or line.message in said:
            continue
        said.add(line.message)
        mark = dot(LEVELS[min(line.level, 3)])
        out.append(f"{mark} {plain(line.part)}: {plain(line.message, 120)}{figures(line)}")
    return "\n\n".join(out)


def figures(line: StatusLine) -> str:
    """Return the figures of a part that are worth a glance."""
    wanted = {"rate_in_hz": "images/s", "rate_used_hz": "used/s", "keyframes": "keyframes", "memory_mib": "MiB"}
    given = [f"{plain(line.values[key])} {unit}" for key, unit in wanted.items() if line.values.get(key)]
    return f" ({', '.join(given)})" if given else ""


def scale_text(scale: ScaleRecord) -> str:
    """Return what is known of metres."""
    mark = dot(SCALES.get(scale.state, UNKNOWN))
    if not math.isfinite(scale.metres_per_unit):
        return f"{mark} scale {scale.state}"
    spread = f", spread {scale.spread:.0%}" if math.isfinite(scale.spread) else ""
    return (
        f"{mark} scale **{scale.state}** from {plain(scale.source)}: {scale.metres_per_unit:.3g} m per unit"
        f"{spread}, {scale.samples} samples, epoch {scale.epoch}"
    )


def answer_text(answer: Answer) -> str:
    """Return a table: colour, words, presence, score, share of the picture."""
    rows = ["| | words | in view | score | of the picture |", "|---|---|---|---|---|"]
    area = max(1, answer.labels.size)
    for text, colour, presence, score, pixels in zip(
        answer.texts, palette(len(answer.texts)), answer.presence, answer.score, answer.pixels, strict=True
    ):
        red, green, blue = (int(c) for c in colour)
        cells = f"{presence:.2f} | {score:.2f} | {pixels / area:.0%}"
        rows.append(f"| {dot(f'rgb({red},{green},{blue})')} | {plain(text, 40)} | {cells} |")
    found = f"{len(answer.cloud)} points" + (f", {len(answer.boxes.boxes)} boxes" if answer.boxes.boxes else "")
    return "\n".join(rows) + f"\n\nKeyframe {answer.keyframe_id}: {found}."


def keyframe_text(keyframe: KeyframeRecord, first_ns: int, placed: bool) -> str:
    """Return what a keyframe is."""
    kind = "for its masks only" if keyframe.refreshed else "kept"
    where = "" if placed else " Its pose is not of the map shown."
    seconds = (keyframe.stamp_ns - first_ns) / 1e9
    return f"**Keyframe {keyframe.id}**, {seconds:.1f} s, {kind}: {plain(keyframe.reason)}.{where}"
