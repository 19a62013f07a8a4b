"""`lsm bench query`: several texts on a kept view."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.backends import load_backend
from lsm_core.cli.arguments import BackendOption, DeviceOption, JsonOption, WeightsOption, image_size
from lsm_core.cli.console import err, out, print_json
from lsm_core.evaluation.bench_query import bench_query, on_grid, query_table
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.tables import update_markdown
from lsm_core.query import split_texts

TEXTS = "chair, table, sofa, wall, floor, lamp, door, window"


def query(
    texts: Annotated[str, typer.Option(help="What is asked, one line.")] = TEXTS,
    backend: BackendOption = "lsm-tiny",
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of PyTorch.")] = 2,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per stage.")] = 50,
    size: Annotated[str, typer.Option(help="Size of the image.")] = "640x480",
    grid: Annotated[str, typer.Option(help="Feature grid; '' for the model's own.")] = "256x192",
    seed: Annotated[int, typer.Option(help="Seed of the drawn scene's textures.")] = 0,
    as_json: JsonOption = False,
    md: Annotated[Path | None, typer.Option("--md", help="Write the table into this Markdown file.")] = None,
) -> None:
    """Time a text query on a kept view: cached features and embeddings, no network; medians over repeats."""
    torch.set_num_threads(threads)
    asked = split_texts(texts)
    scene = textured_pair(*image_size(size), seed)
    load_before = os.getloadavg()[0]
    with err.status(f"Timing {backend} ..."):
        model = load_backend(backend, device, weights)
        prediction = model.predict([v.image for v in scene.views], [v.K for v in scene.views])
        if grid:
            prediction = on_grid(prediction, *image_size(grid))
        stages = bench_query(model, prediction, asked, repeats)
    where = provenance(model.device)
    assert prediction.features is not None
    height, width = prediction.features[0].shape[:2]
    note = (
        f"{len(asked)} texts, feature grid {width}x{height}, image {size}; medians of {repeats} runs after 3 to "
        f"warm up, seed {seed}; load of the machine before: {load_before:.1f}. {where.line()}"
    )
    table = query_table(f"Time per query, {backend}", stages, note)
    if as_json:
        plain = [asdict(s) for s in stages]
        print_json({"grid": [width, height], "stages": plain, "load_before": load_before, "where": where.plain()})
    else:
        out.print(table.rich())
    if md is not None:
        update_markdown(md, "lsm bench query", table.markdown())
