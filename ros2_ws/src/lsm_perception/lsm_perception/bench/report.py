"""The figures as tables for people and as one object for machines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch

from lsm_core.evaluation.bars import bars_table
from lsm_core.evaluation.goals import memory_goals
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_perception.bench.figures import CaseFigures
from lsm_perception.bench.options import BenchOptions

STAGES = ("transport", "gate", "wait", "decode", "encode", "predict", "map", "segment", "cloud", "publish")


def report(cases: Sequence[CaseFigures], options: BenchOptions) -> dict[str, Any]:
    """Return everything that was measured, and where."""
    where = provenance(torch.device("cpu"))
    chosen = asdict(options) | {
        "json_file": None,
        "md_file": None,
        "log_folder": None,
    }
    return {
        "what": "lsm bench node",
        "options": chosen,
        "where": where.plain() | {"usable_cores": len(os.sched_getaffinity(0))},
        "cases": [case.plain() for case in cases],
    }


def rate_table(cases: Sequence[CaseFigures], note: str) -> Table:
    """Return what goes in and comes out, and what it costs."""
    columns = [
        Column("input"), Column("sent /s", ".1f"), Column("clouds /s", ".1f"), Column("used", ".0f"),
        Column("dropped", ".0f"), Column("lost", ".0f"), Column("p50 ms", ".0f"), Column("p95 ms", ".0f"),
        Column("p99 ms", ".0f"), Column("outside", ".1f"), Column("overhead", ".1f"),
        Column("CPU", ".2f"),
        Column("other", ".2f"), Column("RSS", ".0f"), Column("peak", ".0f"),
    ]  # fmt: skip
    rows: list[list[Cell]] = []
    for c in cases:
        dropped = c.mean("delivered") - c.mean("used")
        latency = [c.mean_latency(q) for q in ("p50", "p95", "p99")]
        rows.append(
            [c.case.name, c.mean("sent_hz"), c.mean("cloud_hz"), c.mean("used"), dropped, c.mean("lost"), *latency,
             *(c.mean(v) for v in ("outside_model_ms", "overhead_ms", "node_cpu", "other_cpu", "rss_mib")),
             peak_mib([c])]
        )  # fmt: skip
    return Table("Rates, latency from image stamp to cloud at the client, and cost", columns, rows, note)


def peak_mib(cases: Sequence[CaseFigures]) -> float:
    """Return the highest resident memory that the node had in any run."""
    return max(run.peak_rss_mib for case in cases for run in case.runs)


def goal_table(cases: Sequence[CaseFigures]) -> Table:
    """Return the goal that these runs decide."""
    return bars_table("Goals of version 1: the node", memory_goals(peak_mib(cases)))


def stage_table(cases: Sequence[CaseFigures]) -> Table:
    """Return where the time goes: medians per stage, and the way from the node to the client."""
    columns = [Column("input"), *(Column(stage, ".1f") for stage in STAGES), Column("delivery", ".1f")]
    rows: list[list[Cell]] = [
        [c.case.name, *(c.mean_stage(s) for s in STAGES), c.mean_latency("p50") - c.mean_stage("latency")]
        for c in cases
    ]
    note = (
        "Medians in ms. Transport: image stamp to callback; wait: callback to begin of work, gate included; "
        "segment runs beside map and cloud; delivery: median at the client less the node's own."
    )
    return Table("Stages in the node", columns, rows, note)


def note_of(options: BenchOptions) -> str:
    """Return the sentence under the table."""
    kept = "without the best and the worst by median latency, " if options.runs >= 3 else ""
    listen = ", ".join(options.listen)
    extra = f" Parameters: {', '.join(options.parameters)}." if options.parameters else ""
    return (
        f"Averages of {options.runs} runs of {options.seconds:g} s, {kept}backend {options.backend}, seed "
        f"{options.seed}, listening to {listen}.{extra} p50, p95, p99: image stamp to cloud at the client, ms; "
        "outside: p50 without the medians of encoding and predicting; overhead: that without the time in line "
        "behind another image; CPU: cores used by the node; other: by everything but node and client; RSS in MiB "
        "at the end of a run; peak: the highest of all runs, MiB. "
        f"{provenance(torch.device('cpu')).line()}"
    )
