"""A soak run as a table and a picture, from its files, at any time."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from lsm_perception.soak.judge import Finding, judge, judged_rows, slope, stopped_s, warm_up_s
from lsm_perception.soak.record import SoakRecord, read_record

PLOT = "soak.png"
PARTS = 12
LEVELS = ("rss_mib", "anonymous_mib", "device_mib", "threads", "descriptors")


def report(folder: Path) -> int:
    """Print the table of a run, plot it beside its files, and return 0 when it passed.

    Raises:
        FileFormatError: the folder holds no run.
    """
    record = read_record(folder)
    findings = judge(record)
    print("\n".join(lines(record, findings)))
    plot(record, folder / PLOT)
    return 0 if all(finding.passed for finding in findings) else 1


def lines(record: SoakRecord, findings: list[Finding]) -> list[str]:
    """Return the report as lines of Markdown."""
    run, t = record.run, record["t_s"]
    minutes = float(t[-1]) / 60
    verdict = "PASS" if all(f.passed for f in findings) else "FAIL"
    if not run.get("fault") and "exit_code" not in run:
        verdict += " so far"
    out = [
        f"{verdict}: {minutes:.1f} min at commit {run['commit']}, {run['bag']} at rate {run['rate']:g}, "
        f"backend {run['backend']} on {run['device']}; warm-up: the first {warm_up_s(60 * minutes) / 60:.1f} min.",
        "",
        "| held against a limit | found | limit | |",
        "|---|---|---|---|",
    ]
    out += [f"| {f.name} | {f.value} | {f.limit} | {'pass' if f.passed else 'FAIL'} |" for f in findings]
    out += ["", "| figure | start of the line | end | per hour |", "|---|---|---|---|"]
    for name in LEVELS:
        fitted = slope(record, name)
        if fitted is not None:
            out.append(f"| {name} | {fitted.start:.1f} | {fitted.end:.1f} | {fitted.per_hour:+.2f} |")
    return [*out, "", *_parts(record), "", *_sums(record)]


def _parts(record: SoakRecord) -> list[str]:
    """Return a table over twelfths of the run: memory follows the rate of pairs, and that the machine's load."""
    t = record["t_s"]
    out = ["| minutes | pairs per second | anonymous memory, median MiB |", "|---|---|---|"]
    borders = np.linspace(0.0, float(t[-1]), PARTS + 1)
    for begin, end in itertools.pairwise(borders):
        rows = (t >= begin) & (t <= end)
        if rows.sum() < 2:
            continue
        rate = np.ptp(record["pairs"][rows]) / np.ptp(t[rows])
        memory = np.median(record["anonymous_mib"][rows])
        out.append(f"| {begin / 60:.0f} to {end / 60:.0f} | {rate:.2f} | {memory:.0f} |")
    return out


def _sums(record: SoakRecord) -> list[str]:
    """Return what happened in all, as lines."""
    last = {name: values[-1] for name, values in record.columns.items()}
    keep = judged_rows(record)
    p50, p99 = record["latency_p50_ms"][keep], record["latency_p99_ms"][keep]
    busy = np.diff(record["cpu_s"]) / np.maximum(np.diff(record["t_s"]), 1e-9)
    out = [
        f"Images: {last['delivered']:.0f} delivered = {last['used']:.0f} used + {last['dropped']:.0f} dropped "
        f"({last['dropped_bad']:.0f} malformed of {last['malformed']:.0f} sent); "
        f"{last['transport_lost']:.0f} lost in transport.",
        f"Pairs: {last['pairs']:.0f}, {last['accepted']:.0f} accepted. Heard: {last['masks']:.0f} masks, "
        f"{last['clouds']:.0f} clouds, {last['maps']:.0f} maps.",
        f"Disturbed by {last['jumps']:.0f} jumps of time, {last['resets']:.0f} resets, {last['pauses']:.0f} "
        f"deactivations; {last['queries']:.0f} text queries, p99 {last['query_p99_ms']:.0f} ms.",
        f"CPU: {np.median(busy) if len(busy) else 0:.2f} cores (median). Log: {last['errors']:.0f} errors, "
        f"{last['warnings']:.0f} warnings.",
    ]
    if stopped_s(record) > 0:
        out.append(f"The soak itself stood still for {stopped_s(record) / 60:.1f} min, which is not judged.")
    if np.isfinite(p50).any():
        out.append(
            f"Image heard to mask heard: p50 {np.nanmedian(p50):.0f} ms, p99 {np.nanmedian(p99):.0f} ms "
            f"(medians over the minutes), worst minute's p99 {np.nanmax(p99):.0f} ms."
        )
    return out


def plot(record: SoakRecord, path: Path) -> None:
    """Draw memory, threads and descriptors, latency and output over time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    minutes = record["t_s"] / 60
    figure = Figure(figsize=(9, 9), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(4, 1, sharex=True)
    for name in ("rss_mib", "anonymous_mib"):
        axes[0].plot(minutes, record[name], label=name.replace("_mib", ", MiB"))
    if record["device_mib"].any():
        axes[0].plot(minutes, record["device_mib"], label="device, MiB")
    for name in ("threads", "descriptors"):
        axes[1].plot(minutes, record[name], label=name)
    for name in ("latency_p50_ms", "latency_p99_ms"):
        axes[2].plot(minutes, record[name], label=f"{name.split('_')[1]} image to mask, ms")
    axes[2].set_yscale("log")
    step = np.maximum(np.diff(record["t_s"]), 1e-9)
    for name in ("masks", "clouds"):
        axes[3].plot(minutes[1:], np.diff(record[name]) / step, label=f"{name} per second", linewidth=0.8)
    for axis in axes:
        axis.axvspan(0, warm_up_s(float(record["t_s"][-1])) / 60, color="0.92", zorder=0)
        axis.legend(loc="lower right", fontsize="small")
        axis.grid(alpha=0.3)
    axes[-1].set_xlabel("minutes (grey: warm-up, not judged)")
    figure.suptitle(f"Soak of {record.run['backend']}, commit {record.run['commit']}")
    figure.savefig(path, dpi=90)
