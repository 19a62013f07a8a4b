"""`lsm bench backends`: what each backend costs, at one resolution after the other, beside its readable twin."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.backends import backend_names
from lsm_core.backends.numerics import PRECISIONS
from lsm_core.backends.registry import resolve_device
from lsm_core.backends.seeded import write_seeded
from lsm_core.cli.arguments import DeviceOption, JsonOption
from lsm_core.cli.bench_lsm import SeedOption, ThreadsOption
from lsm_core.cli.console import err, out, print_json, progress_bar
from lsm_core.evaluation.bench_backends import (
    DECODE,
    ENCODE,
    LOAD,
    PAIR,
    BackendTimes,
    BenchTask,
    alone,
    bench_alone,
)
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.tables import Cell, Column, Table, update_markdown


def backends(
    device: DeviceOption = "auto",
    only: Annotated[str, typer.Option("--only", help="Backends, comma-separated; default: all.")] = "",
    sizes: Annotated[str, typer.Option(help="Sides of the square images, comma-separated.")] = "256,512",
    precision: Annotated[str, typer.Option(help="Of the dense part, where there is a choice.")] = "float32",
    weights: Annotated[
        list[str] | None, typer.Option("--weights", help="NAME=FILE of a backend; repeatable. Else random numbers.")
    ] = None,
    small: Annotated[bool, typer.Option(help="Random networks of toy size, to try the command.")] = False,
    twin: Annotated[bool, typer.Option(help="Also time the slow readable twins.")] = True,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per stage, after one to warm up.")] = 3,
    threads: ThreadsOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
    md: Annotated[Path | None, typer.Option("--md", help="Write the tables into this Markdown file.")] = None,
) -> None:
    """Parameters, peak memory, time per stage, pairs per second, and how much longer the readable twin takes.

    Each backend and size runs in a process of its own. Without --weights files of random numbers in the official
    formats are written first (2 to 8 GB each) and removed afterwards.
    """
    names, sides, given = parse_names(only), parse_sides(sizes), parse_weights(weights or [])
    if precision not in PRECISIONS:
        raise typer.BadParameter(f"choose from {', '.join(PRECISIONS)}, got {precision}")
    chosen = resolve_device(device)
    if threads is not None:
        torch.set_num_threads(threads)
    load_before = os.getloadavg()[0]
    found: list[BackendTimes] = []
    with progress_bar(disable=as_json) as bar:
        task = bar.add_task("Benching", total=len(names) * len(sides))
        for name in names:
            with weights_of(name, given, small, seed) as place:
                for side in sides:
                    bar.update(task, description=f"{name}, {side}x{side}")
                    work = BenchTask(name, side, place, str(chosen), precision, repeats, threads, twin, seed)
                    found.append(bench_alone(work))
                    bar.advance(task)
    where = provenance(chosen)
    note = notes(found, sorted(given), small, seed, repeats, precision, load_before) + " " + where.line()
    tables = [times_table([f for f in found if f.size == side], side, note) for side in sides]
    if as_json:
        rows = [asdict(f) | {"pairs_per_s": f.pairs_per_s, "twin_over_fast": f.ratio} for f in found]
        print_json({"backends": rows, "precision": precision, "load_before": load_before, "where": where.plain()})
    else:
        for table in tables:
            out.print(table.rich())
    if md is not None:
        update_markdown(md, "lsm bench backends", "\n\n".join(table.markdown() for table in tables))


@contextmanager
def weights_of(name: str, given: dict[str, Path], small: bool, seed: int) -> Iterator[Path | None]:
    """Give the file of a backend: the user's, or one of random numbers that is removed afterwards."""
    if name in given:
        yield given[name]
        return
    with tempfile.TemporaryDirectory(prefix=f"lsm_bench_{name}_") as folder:
        with err.status(f"Writing random weights of {name} ..."):
            place = alone(write_seeded, name, Path(folder), full=not small, seed=seed)
        yield place


def parse_names(text: str) -> list[str]:
    """Return the backends named, separated by commas; all for an empty text."""
    names = [part.strip() for part in text.split(",") if part.strip()] or list(backend_names())
    unknown = [name for name in names if name not in backend_names()]
    if unknown:
        raise typer.BadParameter(f"choose from {', '.join(backend_names())}, got {', '.join(unknown)}")
    return names


def parse_sides(text: str) -> list[int]:
    """Return the sides named, multiples of 32 separated by commas."""
    if not all(part.strip().isdigit() and int(part) % 32 == 0 and int(part) > 0 for part in text.split(",")):
        raise typer.BadParameter(f"sizes are multiples of 32, separated by commas; got {text}")
    return [int(part) for part in text.split(",")]


def parse_weights(words: Sequence[str]) -> dict[str, Path]:
    """Return the file per backend of words like NAME=FILE."""
    given = {}
    for word in words:
        name, _, path = word.partition("=")
        if name not in backend_names() or not path:
            raise typer.BadParameter(f"give NAME=FILE with a name of {', '.join(backend_names())}; got {word}")
        given[name] = Path(path)
    return given


def times_table(found: Sequence[BackendTimes], side: int, note: str) -> Table:
    """Return one row per backend."""
    on_gpu = any(times.device_mib for times in found)
    columns = [Column("backend"), Column("M par.", ".1f"), Column("MiB", ".0f")]
    columns += [Column("GPU MiB", ".0f")] if on_gpu else []
    columns += [Column(f"{stage} ms", ".1f") for stage in (ENCODE, DECODE, PAIR)]
    columns += [Column("CPU ms", ".0f"), Column("pairs/s"), Column("twin/s"), Column("ratio", ".2f")]
    columns.append(Column("CPU ratio", ".2f"))
    rows: list[list[Cell]] = []
    for times in found:
        row: list[Cell] = [times.name, times.parameters / 1e6, times.peak_mib]
        row += [times.device_mib] if on_gpu else []
        row += [1e3 * times.stages[stage].wall for stage in (ENCODE, DECODE, PAIR)]
        row += [
            1e3 * times.stages[PAIR].cpu,
            times.pairs_per_s,
            times.twin_pairs_per_s,
            times.ratio,
            times.cpu_ratio,
        ]
        rows.append(row)
    return Table(f"Backends, {side}x{side}", columns, rows, note)


def notes(
    found: Sequence[BackendTimes],
    given: Sequence[str],
    small: bool,
    seed: int,
    repeats: int,
    precision: str,
    load_before: float,
) -> str:
    """Return what the tables do not show."""
    files = f"files given for {', '.join(given)}, else random" if given else "random"
    first = [f for f in found if f.size == found[0].size]
    own = ", ".join(f"{f.name} {f.own_mib:.0f}" for f in first)
    loading = ", ".join(f"{f.name} {f.stages[LOAD].wall:.1f}" for f in first)
    return (
        f"Medians of {repeats} after 1 to warm up, {precision}; a drawn pair of that size, cameras known; weights: "
        f"{files} of {'toy' if small else 'released'} size, seed {seed}. Encode: one image; decode: two encoded "
        "images to the prediction, pose included; pair: both from images; CPU: of a pair, all threads. Twin: the "
        "readable implementation in float32, in turn with the fast one; ratio: how many times longer it takes; a "
        f"dash where there is none. MiB: peak of the process, mapped files included; without them: {own}. Seconds "
        f"to load: {loading}. Load of the machine before: {load_before:.1f}."
    )
