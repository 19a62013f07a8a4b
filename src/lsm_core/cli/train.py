"""`lsm train`: train the embedded model from rendered rooms or a robot's recordings."""

from __future__ import annotations

import json
import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lsm_core.cli.train_gaussians import train_tiny_gaussians

app = typer.Typer(help="Train models from rendered rooms.", no_args_is_help=True)


@app.callback()
def _train() -> None:
    """Train models from rendered rooms."""


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 natively (where it does not, autocast is slower than fp32)."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


@app.command("tiny")
def train_tiny(
    out: Annotated[Path, typer.Option(help="Folder for checkpoint, log and weights; an old run is resumed.")],
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder with train/*.npz and val/*.npz (docs/training_data.md); repeatable."),
    ] = None,
    bags: Annotated[
        list[Path] | None,
        typer.Option(help="Bag with depth and odometry, or a folder of them (docs/data.md); repeatable."),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Settings of the run: v0, v1, bags, ...; bags with --bags, else v0.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Training time, earlier parts of the run included.")] = 75,
    steps: Annotated[int | None, typer.Option(min=0, help="Length in steps (v1: 9000); 0: --minutes.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to begin from; 'shipped' with --bags.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of weights, sampling and augmentation.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of PyTorch.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    memory_gb: Annotated[float, typer.Option(min=0.1, help="Shards kept in memory.")] = 8.0,
    bf16: Annotated[bool | None, typer.Option("--bf16/--fp32", help="Default: bf16 where it is fast.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, no progress bar.")] = False,
) -> None:
    """Train lsm-tiny. Can be interrupted at any time: the same command resumes it."""
    from lsm_core.backends.registry import resolve_device
    from lsm_core.backends.tiny_weights import PACKAGED, load_network
    from lsm_core.data.classes import CLASSES, SYNONYMS
    from lsm_core.errors import InputError, LsmError
    from lsm_core.query.text import MiniLmTextEncoder
    from lsm_core.training import Trainer
    from lsm_core.training.imagenet_dictionary import INDOOR_NAMES, DenseClassifier, Dictionary
    from lsm_core.training.language_targets import NameTable
    from lsm_core.training.lite0_init import imagenet_checkpoint
    from lsm_core.training.own_labels import OwnLabeller
    from lsm_core.training.recipes import RECIPES
    from lsm_core.training.recordings import FOLDER, prepare_recordings
    from lsm_core.training.shard_pool import ShardPool

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # fresh Adam moments are denormal, and slow on CPUs
    try:
        target = resolve_device(device)
        fast = cpu_has_bfloat16() if target.type == "cpu" else True
        chosen = recipe or ("bags" if bags else "v0")
        if chosen not in RECIPES:
            raise InputError(f"There is no recipe '{chosen}'.", f"Choose one of: {', '.join(RECIPES)}.")
        if not data and not bags:
            raise InputError("There are no training data.", "Pass --data with shards, or --bags with recordings.")
        first = PACKAGED if start == Path("shipped") or (bags and start is None) else start
        config = replace(RECIPES[chosen], minutes=minutes, seed=seed, memory_gb=memory_gb)
        config = config if steps is None else replace(config, steps=steps)
        encode = MiniLmTextEncoder().encode
        names = NameTable(CLASSES, SYNONYMS, encode, config.held_out_words)
        folders, recordings = list(data or ()), []
        if bags and first is not None:
            network, card = load_network(first, torch.device("cpu"))
            config = replace(config, network=card.network)
            recordings = prepare_recordings(bags, out, OwnLabeller(network, names.canonical()))
            folders.append(out / FOLDER)
        pool = ShardPool([folder / "train" for folder in folders], memory_gb)
        checked = [folder / "val" for folder in folders if (folder / "val").is_dir()]
        held_out = ShardPool(checked, memory_gb / 8) if checked else None
        teacher = None
        if config.weights.dictionary > 0:
            classifier = DenseClassifier.load(imagenet_checkpoint()).to(target)
            teacher = Dictionary(classifier, encode(list(INDOOR_NAMES.values())).to(target))
        precise = fast if bf16 is None else bf16
        trainer = Trainer(pool, held_out, names, out, config, target, precise, first, teacher, recordings)
        with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), disable=as_json) as bar:
            task = bar.add_task("lsm-tiny", total=1.0)

            def report(progress: float, figures: dict[str, float]) -> None:
                text = f"step {trainer.step}  loss {figures['loss']:.3f}  depth {figures['first_depth']:.3f}"
                bar.update(task, completed=progress, description=text)

            signal.signal(signal.SIGTERM, signal.default_int_handler)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
            weights = trainer.run(report)
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from here", err=True)
        raise typer.Exit(130) from None
    except LsmError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    finally:
        torch.set_flush_denormal(False)
    result = {"weights": str(weights), "steps": trainer.step, "minutes": round(trainer.elapsed_s / 60, 1)}
    typer.echo(json.dumps(result) if as_json else f"weights: {weights} ({trainer.step} steps)")


app.command("tiny-gaussians")(train_tiny_gaussians)


if __name__ == "__main__":
    app()
