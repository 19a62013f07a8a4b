"""`lsm parity DIR`: every recorded fixture of a folder against this implementation."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from lsm_core.backends.registry import resolve_device
from lsm_core.parity import FixtureReport, run_folder


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command(name="parity")(parity)


def parity(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with NAME.json fixtures.")],
    only: Annotated[list[str] | None, typer.Option("--only", help="Run this fixture; repeatable.")] = None,
    device: Annotated[str, typer.Option(help="Where networks run: cpu, cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of lines.")] = False,
) -> None:
    """Compare this implementation with recorded outputs; exit 0 only if every fixture passes."""
    reports = []
    for report in run_folder(folder, only or (), resolve_device(device)):
        reports.append(report)
        if not as_json:
            typer.echo(_line(report))
    counts = {status: sum(r.status == status for r in reports) for status in ("passed", "failed", "unsupported")}
    if as_json:
        typer.echo(json.dumps({"fixtures": [_plain(r) for r in reports], **counts}, indent=1))
    else:
        typer.echo(f"{counts['passed']} passed, {counts['failed']} failed, {counts['unsupported']} unsupported")
    if counts["failed"] or counts["unsupported"]:
        raise typer.Exit(1)


def _line(report: FixtureReport) -> str:
    """Return the line of one fixture: name, status, worst error over its tolerance, where or why."""
    head = f"{report.name:<36} {report.status:<11}"
    if math.isnan(report.worst_error):
        return f"{head} {report.message}"
    where = f"worst error {report.worst_error:.3g} of tolerance in {report.worst_tensor} ({report.tensors} tensors)"
    return f"{head} {where}" + (f"; {report.message}" if report.message else "")


def _plain(report: FixtureReport) -> dict[str, object]:
    """Return the report with numbers that JSON can hold."""
    row = asdict(report)
    if not math.isfinite(report.worst_error):
        row["worst_error"] = None
    return row
