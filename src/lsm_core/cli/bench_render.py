"""`lsm bench render`: how long drawing Gaussians takes."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.backends.registry import resolve_device
from lsm_core.cli.arguments import DeviceOption, JsonOption
from lsm_core.cli.console import err, out, print_json, progress_bar
from lsm_core.evaluation.bench_gsplat import GsplatTimes, bench_gsplat
from lsm_core.evaluation.bench_render import RenderTime, bench_cases, bench_render, bench_scene
from lsm_core.evaluation.provenance import Provenance, provenance
from lsm_core.evaluation.render_alternatives import ALTERNATIVES, alternative_seconds
from lsm_core.evaluation.tables import Cell, Column, Table, update_markdown
from lsm_core.render import get_rasterizer


def render(
    device: DeviceOption = "auto",
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per case.")] = 11,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads; all cores by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the scene.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Without the larger half of the cases.")] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(help=f"Also time another package; repeatable: {', '.join(ALTERNATIVES)}."),
    ] = None,
    as_json: JsonOption = False,
    md: Annotated[Path | None, typer.Option("--md", help="Write the tables into this Markdown file.")] = None,
) -> None:
    """Time the rasterizer on a fixed scene: the targets, and scaling over Gaussians, channels, pixels, threads."""
    chosen = resolve_device(device)
    load_before = os.getloadavg()[0]
    cores = threads or os.cpu_count() or 1
    cases, found = bench_cases(cores, quick), []
    with progress_bar(disable=as_json) as bar:
        for case in bar.track(cases, description="Drawing"):
            found.append(bench_render(case, repeats, seed, chosen))
    torch.set_num_threads(cores)
    with err.status("Timing other packages ..."):
        scene, camera = bench_scene(cases[0], seed)
        others = {name: alternative_seconds(name, scene, camera) for name in against or []}
    where = provenance(chosen)
    beside = _beside_gsplat(repeats, seed, chosen) if chosen.type == "cuda" else []
    tables = render_tables(found, others, where, repeats, seed, load_before)
    if as_json:
        times = [asdict(t) for t in found]
        print_json(
            {
                "gsplat": [asdict(t) for t in beside],
                "times": times,
                "others_s": others,
                "load_before": load_before,
                "where": where.plain(),
            }
        )
        return
    tables += [_gsplat_table(beside)] if beside else []
    for table in tables:
        out.print(table.rich())
    if md is not None:
        update_markdown(md, "lsm bench render", "\n\n".join(table.markdown() for table in tables))


def render_tables(
    found: list[RenderTime],
    others: dict[str, float],
    where: Provenance,
    repeats: int,
    seed: int,
    load_before: float,
) -> list[Table]:
    """Return the table of targets and one per thing that was varied."""
    note = (
        f"Times in ms: medians of {repeats} runs after 2 to warm up, CPU ms of all threads; scene of seed {seed}; "
        f"blended: Gaussians per pixel; the reference's time is that of 240 pixels times their share, ratio is it "
        f"over ours; load of the machine before: {load_before:.1f}. {where.line()}"
    )
    tables = [_target_table([t for t in found if t.case.group == "targets"], others, note)]
    for group in ("Gaussians", "channels", "pixels", "threads"):
        rows: list[list[Cell]] = [
            [t.case.name, 1e3 * t.median_s, 1e3 * t.p10_s, 1e3 * t.p90_s, 1e3 * t.cpu_s, t.blended]
            for t in found
            if t.case.group == group
        ]
        columns = [
            Column(group),
            *(Column(name, ".1f") for name in ("ms", "p10", "p90", "CPU ms", "blended per pixel")),
        ]
        tables.append(Table(f"Drawing by {group}", columns, rows))
    return tables


def _target_table(found: list[RenderTime], others: dict[str, float], note: str) -> Table:
    """Return the cases that have a target, with the reference beside them."""
    columns = [
        Column("what"),
        *(Column(name, ".0f") for name in ("ms", "CPU ms", "target", "blended")),
        Column("reference", ",.0f"),
        Column("ratio", ",.0f"),
    ]
    rows: list[list[Cell]] = []
    for t in found:
        target = None if t.case.target_s is None else 1e3 * t.case.target_s
        ratio = None if t.reference_s is None else t.reference_s / t.median_s
        reference = None if t.reference_s is None else 1e3 * t.reference_s
        times = [1e3 * t.median_s, 1e3 * t.cpu_s, target, t.blended, reference, ratio]
        rows.append([f"{t.case.name}; {t.case.gaussians:,} at {t.case.size}", *times])
    for name, seconds in others.items():
        rows.append([f"{name}: rgb; 131,072 at 256", 1e3 * seconds, None, None, None, None, None])
    return Table("Drawing Gaussians", columns, rows, note)


def _beside_gsplat(repeats: int, seed: int, device: torch.device) -> list[GsplatTimes]:
    """Time gsplat's own call beside ours.

    Raises:
        DependencyError: gsplat is not installed.
    """
    get_rasterizer("gsplat")
    from gsplat import rasterization

    return [bench_gsplat(rasterization, size, repeats, seed, device) for size in (256, 512)]


def _gsplat_table(found: list[GsplatTimes]) -> Table:
    """Return our times as multiples of gsplat's own."""
    columns = [Column("size"), Column("gsplat rgb, ms", ".2f")]
    columns += [Column(name, ".2f") for name in ("rgb", "rgb + 64 + depth", "with picks")]
    rows: list[list[Cell]] = []
    for t in found:
        ratios = [s / t.plain_rgb_s for s in (t.rgb_s, t.features_s, t.picks_s)]
        rows.append([f"{2 * t.size**2:,} at {t.size}", 1e3 * t.plain_rgb_s, *ratios])
    return Table("Our call, in multiples of gsplat's own", columns, rows)
