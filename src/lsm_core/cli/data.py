"""`lsm data inspect | formats`: what is in a data set or a bag, and which layouts are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from lsm_core.cli.arguments import JsonOption
from lsm_core.cli.console import out, print_json
from lsm_core.cli.data_sheet import inspection_sheet, scene_count
from lsm_core.data.formats import FORMATS, Dataset, open_dataset
from lsm_core.data.inspection import READ_FRAMES, SceneReport, inspect_dataset
from lsm_core.io import write_png

app = typer.Typer(help="Look at training and evaluation data.", no_args_is_help=True)


def register(main: typer.Typer) -> None:
    """Add the commands to the program."""
    main.add_typer(app, name="data")


@app.command("inspect")
def inspect(
    place: Annotated[Path, typer.Argument(help="Folder of a data set, or a bag.")],
    format: Annotated[str | None, typer.Option(help="Read it as this format; default: found by looking.")] = None,
    scenes: Annotated[int, typer.Option(min=1, help="Scenes to look into.")] = 3,
    frames: Annotated[int, typer.Option(min=2, help="Pictures to decode per scene.")] = READ_FRAMES,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet (PNG) here.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which format it is, count scenes, frames and pairs, and name what is missing."""
    dataset = open_dataset(place, format)
    reports = inspect_dataset(dataset, scenes, frames)
    if sheet is not None:
        write_png(sheet, inspection_sheet(dataset, reports))
    if as_json:
        print_json(_as_json(dataset, reports, sheet))
        return
    _print(dataset, reports)
    if sheet is not None:
        out.print(f"contact sheet: {sheet}", soft_wrap=True)


@app.command("formats")
def formats(as_json: JsonOption = False) -> None:
    """List the formats that are read, with their layouts."""
    if as_json:
        print_json([{"format": kind.format, "layout": kind.layout} for kind in FORMATS])
        return
    for kind in FORMATS:
        out.print(f"[bold]{kind.format}[/]", highlight=False)
        out.print(f"    {kind.layout}", soft_wrap=True, markup=False, highlight=False)


def _as_json(dataset: Dataset, reports: list[SceneReport], sheet: Path | None) -> dict[str, Any]:
    rows = []
    for report in reports:
        row = {key: value for key, value in vars(report).items() if key != "views"}
        rows.append({**row, "unusable": report.unusable, "trains_tiny": report.trains_tiny})
    return {
        "ok": True,
        "place": str(dataset.root),
        "format": dataset.format,
        "scenes": len(dataset.scenes),
        "inspected": rows,
        "sheet": None if sheet is None else str(sheet),
    }


def _print(dataset: Dataset, reports: list[SceneReport]) -> None:
    """Print what was found, a few lines per scene."""
    out.print(f"[bold]{dataset.format}[/]: {scene_count(dataset)}, {len(reports)} looked into", highlight=False)
    out.print(dataset.layout, soft_wrap=True, markup=False, highlight=False)
    for report in reports:
        out.print(f"{report.name}: {describe(report)}", soft_wrap=True, markup=False, highlight=False)
        for problem in report.problems:
            out.print(f"    {problem}", soft_wrap=True, markup=False, highlight=False, style="yellow")


def describe(report: SceneReport) -> str:
    """Return one line on a scene."""
    if not report.frames:
        return "cannot be opened"
    parts = [f"{report.frames} frames"]
    if report.unusable:
        parts.append(f"{report.unusable} unusable")
    if report.size is not None:
        parts.append(f"{report.size[0]}x{report.size[1]}")
    if report.path_m is not None:
        parts.append(f"{report.path_m:.1f} m of way")
    parts.append("no poses" if not report.has_poses else f"poses ({report.unit})")
    parts.append("no depth" if report.depth_share is None else f"depth on {report.depth_share:.0%} of the pixels")
    if report.has_labels:
        parts.append("labels")
    if report.rule != "none":
        parts.append(f"{report.pairs} pairs by {report.rule} among {report.read} of {report.moving} moving frames")
    if report.trains_tiny:
        parts.append("trains lsm-tiny")
    return ", ".join(parts)
