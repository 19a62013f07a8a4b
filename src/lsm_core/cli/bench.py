"""`lsm bench pair | onnx | query | lsm | backends | render | node`: how long everything takes."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.cli import (
    bench_backends,
    bench_lsm,
    bench_lsm_device,
    bench_node,
    bench_onnx,
    bench_query,
    bench_render,
)
from lsm_core.cli.arguments import (
    BackendOption,
    DeviceOption,
    FullSizeOption,
    JsonOption,
    WeightsOption,
    image_size,
)
from lsm_core.cli.console import err, out, print_json
from lsm_core.cli.loading import load_at
from lsm_core.evaluation.bars import bars_table
from lsm_core.evaluation.bench import KEPT, TOTAL, bench_pair, bench_table, median_s
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.evaluation.goals import time_goals
from lsm_core.evaluation.pairs import EvalPair, EvalView
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.tables import update_markdown
from lsm_core.io.images import read_image

app = typer.Typer(help="Measure speed.", no_args_is_help=True)
TEXTS = ("chair", "table", "sofa", "wall", "floor")


@app.callback()
def _bench() -> None:
    """Measure speed."""


def register(main: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("node")(bench_node.node)
    app.command("onnx")(bench_onnx.onnx)
    app.command("query")(bench_query.query)
    app.command("lsm")(bench_lsm.lsm)
    app.command("backends")(bench_backends.backends)
    app.command("render")(bench_render.render)
    app.command("lsm-device")(bench_lsm_device.lsm_device)
    main.add_typer(app, name="bench")


@app.command("pair")
def pair(
    images: Annotated[list[Path] | None, typer.Argument(help="Two images; a drawn scene by default.")] = None,
    backend: BackendOption = "lsm-tiny",
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of PyTorch.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per stage.")] = 20,
    full_resolution: FullSizeOption = True,
    size: Annotated[str, typer.Option(help="Size of the drawn scene.")] = "640x480",
    seed: Annotated[int, typer.Option(help="Seed of the drawn scene's textures.")] = 0,
    as_json: JsonOption = False,
    md: Annotated[Path | None, typer.Option("--md", help="Write the table into this Markdown file.")] = None,
) -> None:
    """Time encoding, the pair stage with its pose, the whole pair, and a text query: medians over repeats."""
    if threads is not None:
        torch.set_num_threads(threads)
    scene = _scene(images, size, seed)
    load_before = os.getloadavg()[0]
    with err.status(f"Timing {backend} ..."):
        model = load_at(full_resolution, backend, device, weights)
        stages = bench_pair(model, scene, repeats, texts=TEXTS)
    where = provenance(model.device)
    height, width = scene.views[0].image.shape[:2]
    note = (
        f"Medians of {repeats} runs after 3 to warm up, images {width}x{height}, "
        f"{'seed ' + str(seed) if not images else 'files given'}; load of the machine before: {load_before:.1f}. "
        f"{where.line()}"
    )
    at = "" if full_resolution else ", without full resolution"
    tables = [bench_table(f"Time per pair, {backend}{at}", stages, note)]
    if backend == "lsm-tiny":
        bars = time_goals(median_s(stages, TOTAL), median_s(stages, KEPT))
        tables.append(bars_table("Goals of version 1: time on two CPU cores", bars))
    if as_json:
        print_json({"stages": [asdict(s) for s in stages], "load_before": load_before, "where": where.plain()})
    else:
        for table in tables:
            out.print(table.rich())
    if md is not None:
        command = f"lsm bench pair{'' if full_resolution else ' --no-full-resolution'}"
        update_markdown(md, command, "\n\n".join(table.markdown() for table in tables))


def _scene(images: list[Path] | None, size: str, seed: int) -> EvalPair:
    """Return the images given, or the drawn scene."""
    width, height = image_size(size)
    drawn = textured_pair(width, height, seed)
    if not images:
        return drawn
    if len(images) != 2:
        raise typer.BadParameter(f"two images are needed, got {len(images)}")
    first, second = (EvalView(path.name, read_image(path), None) for path in images)
    return replace(drawn, views=(first, second))
