"""`lsm bench lsm`: the Large Spatial Model at full size, with your weights or with random ones."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, get_args

import torch
import typer

from lsm_core.backends.lsm import LsmOptions, Precision
from lsm_core.backends.registry import resolve_device
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.cli.arguments import DeviceOption, JsonOption, WeightsOption
from lsm_core.cli.console import err, out, print_json
from lsm_core.evaluation.bench_lsm import PAIR, LsmTimes, bench_lsm
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.tables import Cell, Column, Table, update_markdown
from lsm_core.nn.clip_text import ClipTextConfig
from lsm_core.nn.lsm import LsmConfig

SeedOption = Annotated[int, typer.Option(help="Of the random weights.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads of PyTorch.")]


def lsm(
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    size: Annotated[int, typer.Option(help="224 or 256 for a square, else the long edge.")] = 256,
    precision: Annotated[str, typer.Option(help="Of the dense part; comma-separated for several.")] = "float32",
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per stage.")] = 3,
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    md: Annotated[Path | None, typer.Option("--md", help="Write the table into this Markdown file.")] = None,
) -> None:
    """Load, encode, decode, fuse and ask, timed; without --weights files of random numbers are written first."""
    if threads is not None:
        torch.set_num_threads(threads)
    chosen, precisions = resolve_device(device), parse_precisions(precision)
    load_before = os.getloadavg()[0]
    images = [view.image for view in textured_pair(640, 480, seed).views]
    found: dict[str, LsmTimes] = {}
    with checkpoints(weights, seed) as folder:
        for name in precisions:
            with err.status(f"Timing lsm, {name} ..."):
                found[name] = bench_lsm(folder, chosen, images, LsmOptions(size=size, precision=name), repeats)
    where = provenance(chosen)
    kind = "files given" if weights is not None else f"random weights of full size, seed {seed}"
    load = f"load of the machine before: {load_before:.1f}"
    note = f"{kind}; crop {size}; {notes(found, repeats)}; {load}. {where.line()}"
    table = times_table(found, note)
    if as_json:
        rows = {
            name: asdict(times) | {"ratio": times.ratio, "cpu_ratio": times.cpu_ratio}
            for name, times in found.items()
        }
        print_json({"precisions": rows, "size": size, "load_before": load_before, "where": where.plain()})
    else:
        out.print(table.rich())
    if md is not None:
        update_markdown(md, "lsm bench lsm", table.markdown())


@contextmanager
def checkpoints(weights: Path | None, seed: int) -> Iterator[Path]:
    """Give the folder named, or one with random checkpoints of full size that is removed afterwards."""
    if weights is not None:
        yield weights
        return
    with tempfile.TemporaryDirectory(prefix="lsm_seeded_") as folder:
        with err.status("Writing random checkpoints of full size (8 GB) ..."):
            write_checkpoints(Path(folder), LsmConfig(), ClipTextConfig(), seed)
        yield Path(folder)


def parse_precisions(text: str) -> list[Precision]:
    """Return the precisions named, separated by commas."""
    known: tuple[Precision, ...] = get_args(Precision)
    named = [next((k for k in known if k == part.strip()), None) for part in text.split(",")]
    if None in named:
        raise typer.BadParameter(f"choose from {', '.join(known)}, got {text}")
    return [name for name in named if name is not None]


def notes(found: dict[str, LsmTimes], repeats: int) -> str:
    """Return what the table does not show: memory, answers, ratios."""
    first = next(iter(found.values()))
    on_device = f", {first.device_mib:.0f} MiB on the GPU" if first.device_mib else ""
    parts = [
        f"medians of {repeats} after 1 to warm up; {first.parameters / 1e6:.0f} M parameters",
        f"peak memory ({next(iter(found))}) {first.peak_mib:.0f} MiB with the mapped files, "
        f"{first.own_mib:.0f} MiB of its own after a pair{on_device}",
    ]
    for name, times in found.items():
        answers = ", ".join(f"{text} {p:.2f}" for text, p in times.presence.items())
        parts.append(f"{name}: twin over fast {times.ratio:.2f} (processor time {times.cpu_ratio:.2f}), {answers}")
    return "; ".join(parts)


def times_table(found: dict[str, LsmTimes], note: str) -> Table:
    """Return one row per stage; per precision its seconds, wall and of the processor, and its part of a pair."""
    columns = [Column("stage")]
    for name in found:
        columns += [Column(f"{name}, s", ".2f"), Column("CPU s", ".2f"), Column("of a pair", ".2f")]
    rows: list[list[Cell]] = []
    for stage in next(iter(found.values())).stages:
        row: list[Cell] = [stage]
        for times in found.values():
            took = times.stages[stage]
            row += [took.wall, took.cpu, took.cpu / times.stages[PAIR].cpu]
        rows.append(row)
    return Table("Large Spatial Model", columns, rows, note)
