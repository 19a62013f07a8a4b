"""`lsm bench lsm-device`: the Large Spatial Model on a GPU: right numbers first, then speed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor

from lsm_core.backends.lsm import LsmOptions, load
from lsm_core.backends.numerics import PRECISIONS, Precision
from lsm_core.backends.registry import resolve_device
from lsm_core.cli.arguments import DeviceOption, WeightsOption
from lsm_core.cli.bench_lsm import SeedOption, ThreadsOption, checkpoints, notes, parse_precisions
from lsm_core.cli.console import err, out
from lsm_core.evaluation.bench_lsm import LsmTimes, bench_lsm
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.stage_errors import stage_errors
from lsm_core.evaluation.tables import Cell, Column, Table, update_markdown
from lsm_core.nn.lsm import Lsm
from lsm_core.parity import FixtureReport, read_fixture, run_folder
from lsm_core.parity.families.lsm import lsm_model

WHOLE = "lsm_end_to_end"  # kind of the fixtures that hold the whole model


def lsm_device(
    fixtures: Annotated[Path, typer.Argument(help="Folder with the recorded fixtures of the Large Spatial Model.")],
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    sizes: Annotated[str, typer.Option(help="Sides of the square images, comma-separated.")] = "256,512",
    precision: Annotated[str, typer.Option(help="Of the dense part.")] = "float32,bfloat16,float16",
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per stage.")] = 10,
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
    md: Annotated[Path | None, typer.Option("--md", help="Write the tables into this Markdown file.")] = None,
) -> None:
    """Answer the fixtures on a device, say what half precision costs per stage, time pairs against the twin.

    Exit code 1 if a fixture is out of its tolerance. Without --weights files of random numbers are written first.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    chosen, precisions = resolve_device(device), parse_precisions(precision)
    sides = parse_sizes(sizes)
    where = provenance(chosen)
    with err.status("Answering the fixtures ..."):
        reports = list(run_folder(fixtures, device=chosen))
        tables = [parity_table(reports, str(chosen), where.line())]
        halves = [half for half in (PRECISIONS[name] for name in precisions) if half is not None]
        tables += [error_table(*whole, halves) for whole in whole_models(fixtures, chosen)] if halves else []
    with checkpoints(weights, seed) as folder:
        if halves:
            with err.status("Comparing precisions ..."):
                tables.append(error_table(*full_model(folder, chosen, sides[0], seed), halves))
        for side in sides:
            found = times_of(folder, chosen, side, precisions, repeats, seed)
            note = f"{notes(found, repeats)}; load of the machine: {os.getloadavg()[0]:.1f}. {where.line()}"
            tables.append(pair_table(found, side, note))
    for table in tables:
        out.print(table.rich())
    if md is not None:
        update_markdown(md, "lsm bench lsm-device", "\n\n".join(table.markdown() for table in tables))
    if any(report.status != "passed" for report in reports):
        raise typer.Exit(1)


def parse_sizes(text: str) -> list[int]:
    """Return the sides named, multiples of 32 separated by commas."""
    if not all(part.strip().isdigit() and int(part) % 32 == 0 and int(part) > 0 for part in text.split(",")):
        raise typer.BadParameter(f"sizes are multiples of 32, separated by commas; got {text}")
    return [int(part) for part in text.split(",")]


def parity_table(reports: list[FixtureReport], device: str, where: str) -> Table:
    """Return one row per fixture: its status and worst error over what is allowed."""
    rows: list[list[Cell]] = [[r.name, r.status, r.worst_error, r.worst_tensor or r.message] for r in reports]
    columns = [Column("fixture"), Column("status"), Column("worst error", ".3g"), Column("where")]
    return Table(f"Fixtures in float32 on {device}", columns, rows, f"1 is the border of the tolerance. {where}")


def whole_models(fixtures: Path, device: torch.device) -> Iterator[tuple[str, Lsm, list[Tensor]]]:
    """Give name, network and images of each fixture that holds the whole model and its own weights."""
    for path in sorted(fixtures.glob("*.json")):
        fixture = read_fixture(path)
        if fixture.kind == WHOLE and fixture.spec["weights_of"] == fixture.name:
            inputs = fixture.tensors()
            images = [inputs[name].to(device) for name in ("img1", "img2")]
            yield fixture.name, lsm_model(fixture, reference=False).to(device), images


def full_model(folder: Path, device: torch.device, side: int, seed: int) -> tuple[str, Lsm, list[Tensor]]:
    """Return name, network and images of a pair for the checkpoints of a folder."""
    backend = load(device, folder, LsmOptions(size=side, crop="keep_square"))
    views = [backend.encode(view.image) for view in textured_pair(side, side, seed).views]
    return f"the weights timed below, {side}x{side}", backend.network, [view.tensors["image"] for view in views]


def error_table(name: str, network: Lsm, images: list[Tensor], halves: list[torch.dtype]) -> Table:
    """Return the errors of each stage and dtype, stages fed by float32."""
    columns, found = [Column("stage")], []
    for half in halves:
        dtype = str(half).removeprefix("torch.")
        columns += [Column(f"{dtype}, largest", ".1e"), Column(f"{dtype}, rms", ".1e")]
        found.append(stage_errors(network, images, half))
    rows: list[list[Cell]] = [
        [stage[0].stage, *(value for error in stage for value in (error.largest, error.typical))]
        for stage in zip(*found, strict=True)
    ]
    return Table(f"Half precision against float32, {name}", columns, rows)


def times_of(
    folder: Path, device: torch.device, side: int, precisions: list[Precision], repeats: int, seed: int
) -> dict[str, LsmTimes]:
    """Time square pairs of one size in each precision, each beside the twin."""
    images = [view.image for view in textured_pair(side, side, seed).views]
    found: dict[str, LsmTimes] = {}
    for name in precisions:
        options = LsmOptions(size=side, crop="keep_square", precision=name)
        with err.status(f"Timing {side}x{side}, {name} ..."):
            found[name] = bench_lsm(folder, device, images, options, repeats)
    return found


def pair_table(found: dict[str, LsmTimes], side: int, note: str) -> Table:
    """Return one row per stage and a column per precision, milliseconds; the last row is the ratio to the twin."""
    columns = [Column("stage"), *(Column(f"{name}, ms", ".1f") for name in found)]
    stages = next(iter(found.values())).stages
    rows: list[list[Cell]] = [[s, *(1e3 * times.stages[s].wall for times in found.values())] for s in stages]
    rows.append(["reference over fast", *(times.ratio for times in found.values())])
    return Table(f"Pair of {side}x{side}", columns, rows, note)
