"""From a recording to figures: what came out, how fast, and how well it agrees with the bag's odometry."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from lsm_core.evaluation.odometry_check import accepted_per_window, compare_with_odometry
from lsm_perception.demo.options import DemoOptions
from lsm_perception.demo.recording import Recording
from lsm_perception.demo.source import Source

WINDOW_S = 2.0


def summarise(recording: Recording, source: Source, options: DemoOptions) -> dict[str, Any]:
    """Return the summary as JSON data; numbers that are not finite mean "not known"."""
    stats, accepted = recording.stats, recording.accepted
    total = stats.timings.get("total", {})
    windows = accepted_per_window([p.timed.newer_ns for p in accepted], source.start_ns, source.end_ns, WINDOW_S)
    check = compare_with_odometry([p.timed for p in accepted], source.truth) if source.truth is not None else None
    return {
        "bag": str(source.path),
        "seconds": source.seconds,
        "backend": stats.backend,
        "device": stats.device,
        "images_in_bag": source.images,
        "frames_in": stats.delivered,
        "used": stats.used,
        "dropped": stats.dropped,
        "transport_lost": stats.transport_lost,
        "keyframes": stats.keyframes,
        "pairs": {
            "accepted": len(accepted),
            "rejected": sum(recording.rejected.values()),
            "rejected_by_reason": recording.rejected,
            "segments": len({p.segment for p in accepted}),
            "metric": sum(p.metric for p in accepted),
        },
        "acceptance": {
            "window_s": WINDOW_S,
            "accepted_per_window": windows,
            "windows_with_a_pair": sum(count > 0 for count in windows),
            "windows": len(windows),
            "per_window_mean": float(np.mean(windows)),
        },
        "odometry": None if check is None else {"given_to_node": options.odometry, **asdict(check)},
        "clouds": recording.counts["points"],
        "map_clouds": recording.counts["map_points"],
        "gaussians": recording.counts["gaussians"],
        "tf": sum(recording.transforms.values()),
        "tf_edges": {f"{parent} -> {child}": n for (parent, child), n in sorted(recording.transforms.items())},
        "masks": recording.filled_masks,
        "masks_published": recording.filled_labels,
        "masks_returned": recording.filled_masks - recording.filled_labels,
        "queries": _queries(recording, options),
        "scale": asdict(recording.scale),
        "latency_ms": {"p50": total.get("p50", float("nan")), "p95": total.get("p95", float("nan"))},
        "stages_ms": stats.timings,
        "memory_mib": stats.memory_mib,
    }


def _queries(recording: Recording, options: DemoOptions) -> dict[str, Any]:
    """Return per text in how many keyframes it was marked, and the best presence that a reply gave."""
    published = {text: 0 for text in options.queries}
    for label in recording.labels.values():
        for index, text in enumerate(recording.label_names):
            if text in published:
                published[text] += int((label == index).any())
    presence = {
        text: [reply.presence[reply.texts.index(text)] for reply in recording.replies if text in reply.texts]
        for text in options.queries
    }
    return {
        "asked": len(recording.replies) + sum(recording.refused_queries.values()),
        "refused": dict(recording.refused_queries),
        "reply_ms_p50": float(np.median([r.wall_ms for r in recording.replies])) if recording.replies else None,
        "texts": {
            text: {
                "marked_in_keyframes": published[text],
                "presence_max": max(presence[text], default=None),
            }
            for text in options.queries
        },
    }


def lines(summary: dict[str, Any]) -> list[str]:
    """Return the summary in words, for the terminal and the sheet."""
    pairs, acceptance, scale = summary["pairs"], summary["acceptance"], summary["scale"]
    latency = summary["latency_ms"]
    reasons = ", ".join(f"{reason} {count}" for reason, count in pairs["rejected_by_reason"].items())
    out = [
        f"{summary['images_in_bag']} images in {summary['seconds']:.0f} s: {summary['frames_in']} reached the "
        f"node, {summary['used']} used, {sum(summary['dropped'].values())} dropped",
        f"{summary['keyframes']} keyframes, {pairs['accepted']} pairs accepted, {pairs['rejected']} rejected"
        + (f" ({reasons})" if reasons else "")
        + f", {pairs['segments']} segment(s)",
        f"a pair in {acceptance['windows_with_a_pair']} of {acceptance['windows']} windows of "
        f"{acceptance['window_s']:g} s, {acceptance['per_window_mean']:.1f} per window",
    ]
    check = summary["odometry"]
    if check is not None and check["compared"]:
        given = "given to the node" if check["given_to_node"] else "unknown to the node"
        out.append(
            f"against odometry ({given}): rotation {check['rotation_median_deg']:.2f}° median, "
            f"{check['rotation_mean_deg']:.2f}° mean; direction {check['direction_median_deg']:.1f}° median "
            f"({check['compared']} pairs)"
        )
    metres = f", {scale['metres_per_unit']:.3f} m per unit" if np.isfinite(scale["metres_per_unit"]) else ""
    source = f" from {scale['source']}" if metres else ""
    out.append(f"scale at the end {scale['state']}{source}{metres}; {pairs['metric']} pairs in metres")
    out.append(
        f"{summary['clouds']} clouds, {summary['tf']} transforms, {summary['masks_published']} label images and "
        f"{summary['masks_returned']} masks in replies that are not empty"
    )
    out.append(
        f"latency {latency['p50']:.0f} ms median, {latency['p95']:.0f} ms p95 "
        f"({summary['backend']} on {summary['device']})"
    )
    return out
