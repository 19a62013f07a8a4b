"""`lsm train tiny-gaussians`: train the Gaussian head of the embedded model, the rest of it as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.cli.training_process import shown_progress, training_process


def train_tiny_gaussians(
    data: Annotated[
        list[Path],
        typer.Option(help="Folder with train/*.npz and val/*.npz (docs/training_data.md); repeatable."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights; an old run is resumed.")],
    weights: Annotated[
        Path | None, typer.Option(help="Weights to train a head for; default: those shipped.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Length of the run.")] = None,
    pairs: Annotated[int | None, typer.Option(min=1, help="Pairs per step.")] = None,
    triples: Annotated[int | None, typer.Option(min=1, help="Views made ready and gone through again.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            help="What the head may change, repeatable: log_scale, opacity, log_depth, shift, turn, colour; "
            "default: everything."
        ),
    ] = None,
    read: Annotated[list[str] | None, typer.Option(help="What it may read: own, across; default: both.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the head, sampling and augmentation.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of PyTorch and the rasterizer.")] = 2,
    memory_gb: Annotated[float, typer.Option(min=0.1, help="Shards kept in memory.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, no progress bar.")] = False,
) -> None:
    """Train lsm-tiny's Gaussian head. Can be interrupted at any time: the same command resumes it.

    Everything else in the weights stays as it is; the result is one weights file with its card.
    """
    from lsm_core.backends.tiny import load
    from lsm_core.training.gaussian_config import GaussianTrainConfig, validated
    from lsm_core.training.gaussian_trainer import GaussianTrainer
    from lsm_core.training.shard_pool import ShardPool

    with training_process(threads):
        new = GaussianTrainConfig(seed=seed)
        new = replace(new, steps=steps or new.steps, pairs=pairs or new.pairs, triples=triples or new.triples)
        config = validated(replace(new, changes=tuple(change or new.changes), inputs=tuple(read or new.inputs)))
        pool = ShardPool([folder / "train" for folder in data], memory_gb)
        checked = [folder / "val" for folder in data if (folder / "val").is_dir()]
        held_out = ShardPool(checked, memory_gb / 4) if checked else None
        trainer = GaussianTrainer(load(torch.device("cpu"), weights), pool, held_out, out, config)
        with shown_progress("gaussian head", as_json) as show:

            def report(progress: float, figures: dict[str, float]) -> None:
                show(progress, f"step {trainer.step}  loss {figures['loss']:.3f}  PSNR {figures['psnr']:.2f}")

            path = trainer.run(report)
    result = {"weights": str(path), "steps": trainer.step, "minutes": round(trainer.elapsed_s / 60, 1)}
    result |= trainer.checked
    typer.echo(json.dumps(result) if as_json else f"weights: {path} ({trainer.step} steps) {trainer.checked}")
