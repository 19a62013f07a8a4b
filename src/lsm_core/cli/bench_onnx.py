"""`lsm bench onnx`: lsm-tiny's network run by onnxruntime beside PyTorch."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import torch
import typer

from lsm_core.backends import load_backend
from lsm_core.backends.tiny import TinyBackend, TinyOptions
from lsm_core.cli.arguments import JsonOption, WeightsOption, image_size
from lsm_core.cli.console import err, out, print_json
from lsm_core.evaluation.bench_onnx import AGREEMENT, bench_onnx, onnx_table
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.tables import update_markdown


def onnx(
    weights: WeightsOption = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of PyTorch and of onnxruntime.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per stage.")] = 20,
    size: Annotated[str, typer.Option(help="Size of the drawn scene.")] = "640x480",
    seed: Annotated[int, typer.Option(help="Seed of the drawn scene's textures.")] = 0,
    as_json: JsonOption = False,
    md: Annotated[Path | None, typer.Option("--md", help="Write the table into this Markdown file.")] = None,
) -> None:
    """Time a pair by PyTorch and by onnxruntime in turn; exit code 1 where the numbers differ by over 1e-3."""
    from lsm_core.backends.tiny_onnx_export import export_onnx

    if threads is not None:
        torch.set_num_threads(threads)
    load_before = os.getloadavg()[0]
    with err.status("Timing lsm-tiny both ways ..."), tempfile.TemporaryDirectory(prefix="lsm_onnx_") as folder:
        export_onnx(weights, Path(folder))
        # Corners and thresholds on full-size images make much of the last digits, and are the same code both ways.
        options = TinyOptions(full_resolution=None)
        plain, fast = (
            cast(TinyBackend, load_backend("lsm-tiny", "cpu", w, options=options)) for w in (weights, Path(folder))
        )
        scene = textured_pair(*image_size(size), seed)
        stages = bench_onnx(plain, fast, scene, repeats)
    where = provenance(plain.device)
    note = (
        f"Medians of {repeats} runs of each, in turn, after 1 to warm up; images {size}, seed {seed}; CPU: "
        "processor time, all threads; ratio: of processor time; difference: largest absolute one over all outputs; "
        f"load of the machine before: {load_before:.1f}. {where.line()}"
    )
    table = onnx_table(stages, note)
    if as_json:
        print_json({"stages": [asdict(s) for s in stages], "load_before": load_before, "where": where.plain()})
    else:
        out.print(table.rich())
    if md is not None:
        update_markdown(md, "lsm bench onnx", table.markdown())
    if any(s.difference > AGREEMENT for s in stages):
        raise typer.Exit(1)
