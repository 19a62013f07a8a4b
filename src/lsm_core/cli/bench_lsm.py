"""`lsm bench lsm`: the Large Spatial Model at full size, with your weights or with random ones."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.backends.registry import resolve_device
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.cli.arguments import DeviceOption, JsonOption, WeightsOption
from lsm_core.cli.console import err, out, print_json
from lsm_core.evaluation.bench_lsm import LsmTimes, bench_lsm
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.tables import Cell, Column, Table, update_markdown
from lsm_core.nn.clip_text import ClipTextConfig
from lsm_core.nn.lsm import LsmConfig


def lsm(
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    size: Annotated[int, typer.Option(help="224 or 256 for a square, else the long edge.")] = 256,
    repeats: Annotated[int, typer.Option(min=1, help="Timed runs per stage.")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of PyTorch.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random weights.")] = 0,
    as_json: JsonOption = False,
    md: Annotated[Path | None, typer.Option("--md", help="Write the table into this Markdown file.")] = None,
) -> None:
    """Load, encode, decode, fuse and ask, timed; without --weights files of random numbers are written first."""
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = resolve_device(device)
    load_before = os.getloadavg()[0]
    with ExitStack() as stack:
        folder = weights
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lsm_seeded_")))
            with err.status("Writing random checkpoints of full size (8 GB) ..."):
                write_checkpoints(folder, LsmConfig(), ClipTextConfig(), seed)
        images = [view.image for view in textured_pair(640, 480, seed).views]
        with err.status("Timing lsm ..."):
            found = bench_lsm(folder, chosen, images, size, repeats)
    where = provenance(chosen)
    kind = "files given" if weights is not None else f"random weights of full size, seed {seed}"
    note = (
        f"{kind}; {found.parameters / 1e6:.0f} M parameters; crop {size}; medians of {repeats} after 1 to warm up; "
        f"peak memory {found.peak_mib:.0f} MiB; load of the machine before: {load_before:.1f}. {where.line()}"
    )
    table = times_table(found, note)
    if as_json:
        times = {"stages_s": found.stages, "ratio": found.ratio, "peak_mib": found.peak_mib}
        print_json({**times, "size": size, "load_before": load_before, "where": where.plain()})
    else:
        out.print(table.rich())
    if md is not None:
        update_markdown(md, "lsm bench lsm", table.markdown())


def times_table(found: LsmTimes, note: str) -> Table:
    """Return one row per stage, with its ratio to the pair."""
    pair = found.stages["pair and its cameras"]
    rows: list[list[Cell]] = [[name, seconds, seconds / pair] for name, seconds in found.stages.items()]
    return Table(
        "Large Spatial Model", [Column("stage"), Column("s", ".2f"), Column("of a pair", ".2f")], rows, note
    )
