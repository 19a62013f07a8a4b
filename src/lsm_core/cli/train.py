"""`lsm train`: train the embedded model from rooms or a robot's recordings, or a reference system."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from torch import Tensor

from lsm_core.cli import train_systems
from lsm_core.cli.train_gaussians import train_tiny_gaussians
from lsm_core.cli.training_process import shown_progress, training_process

if TYPE_CHECKING:
    from lsm_core.training import TrainConfig
    from lsm_core.training.imagenet_dictionary import Dictionary
    from lsm_core.training.recordings import HeldOutChange

app = typer.Typer(help="Train the embedded model or a reference system.", no_args_is_help=True)


def cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 natively (where it does not, autocast is slower than fp32)."""
    try:
        return "avx512_bf16" in Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False


def generated_data(out: Path, config: TrainConfig) -> Path:
    """Write the rooms of boxes that a configuration has instead of data; return their folder.

    Raises:
        InputError: it has none.
    """
    from lsm_core.data.box_shards import write_box_shard
    from lsm_core.errors import InputError

    if not config.generated_rooms:
        raise InputError(
            "There are no training data.", "Pass --data with shards, or --bags with recordings (docs/training.md)."
        )
    folder = out / "data"
    write_box_shard(folder / "train", config.generated_rooms, seed=1)
    write_box_shard(folder / "val", max(2, config.generated_rooms // 4), seed=2)
    return folder


def imagenet_teacher(encode: Callable[[list[str]], Tensor], device: torch.device) -> Dictionary:
    """Load the classifier of ImageNet's indoor names that teaches words beyond the rooms' own."""
    from lsm_core.training.imagenet_dictionary import INDOOR_NAMES, DenseClassifier, Dictionary
    from lsm_core.training.lite0_init import imagenet_checkpoint

    classifier = DenseClassifier.load(imagenet_checkpoint()).to(device)
    return Dictionary(classifier, encode(list(INDOOR_NAMES.values())).to(device))


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
    config: Annotated[
        str | None,
        typer.Option("--config", "--recipe", help="smoke, v0, v1, bags, ..., or a .yaml file; bags with --bags."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Training time, earlier parts of the run included (v0: 75).")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=0, help="Length in steps (v1: 9000); 0: --minutes.")] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to begin from; 'shipped' with --bags.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, sampling and augmentation.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of PyTorch.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    memory_gb: Annotated[float | None, typer.Option(min=0.1, help="Shards kept in memory (8).")] = None,
    bf16: Annotated[bool | None, typer.Option("--bf16/--fp32", help="Default: bf16 where it is fast.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, no progress bar.")] = False,
) -> None:
    """Train lsm-tiny. Can be interrupted at any time: the same command resumes it."""
    from lsm_core.backends.registry import resolve_device
    from lsm_core.backends.tiny_weights import PACKAGED, load_network
    from lsm_core.data.classes import CLASSES, SYNONYMS
    from lsm_core.query.text import MiniLmTextEncoder
    from lsm_core.training import Trainer
    from lsm_core.training.config_choice import choose_config
    from lsm_core.training.language_targets import NameTable
    from lsm_core.training.own_labels import OwnLabeller
    from lsm_core.training.recipes import RECIPES
    from lsm_core.training.recordings import FOLDER, held_out_change, prepare_recordings
    from lsm_core.training.shard_pool import ShardPool

    with training_process(threads):
        target = resolve_device(device)
        fast = cpu_has_bfloat16() if target.type == "cpu" else True
        given = {"minutes": minutes, "steps": steps, "seed": seed, "memory_gb": memory_gb}
        chosen = choose_config(config or ("bags" if bags else "v0"), RECIPES, "v0")
        chosen = replace(chosen, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        folders, recordings = list(data or ()), []
        if not folders and not bags:
            folders.append(generated_data(out, chosen))
        first = PACKAGED if start == Path("shipped") or (bags and start is None) else start
        encode = MiniLmTextEncoder().encode
        names = NameTable(CLASSES, SYNONYMS, encode, chosen.held_out_words)
        if bags and first is not None:
            network = load_network(first, torch.device("cpu"))[0]
            recordings = prepare_recordings(bags, out, OwnLabeller(network, names.canonical()))
            folders.append(out / FOLDER)
        pool = ShardPool([folder / "train" for folder in folders], chosen.memory_gb)
        checked = [folder / "val" for folder in folders if (folder / "val").is_dir()]
        held_out = ShardPool(checked, chosen.memory_gb / 8) if checked else None
        teacher = imagenet_teacher(encode, target) if chosen.weights.dictionary > 0 else None
        precise = fast if bf16 is None else bf16
        trainer = Trainer(pool, held_out, names, out, chosen, target, precise, first, teacher, recordings)
        if recordings and held_out is not None and trainer.step == 0:
            trainer.log.write({"step": 0, "validation": trainer.validate(0.0)})
        with shown_progress("lsm-tiny", as_json) as show:

            def report(progress: float, figures: dict[str, float]) -> None:
                show(
                    progress, f"step {trainer.step}  loss {figures['loss']:.3f}  depth {figures['first_depth']:.3f}"
                )

            weights = trainer.run(report)
        change = held_out_change(trainer.log.path) if recordings else None
    tell_result(weights, trainer.step, trainer.elapsed_s, change, as_json)


def tell_result(weights: Path, steps: int, elapsed_s: float, change: HeldOutChange | None, as_json: bool) -> None:
    """Print where the weights are, and what they do on the recordings' held-out ends."""
    if not as_json:
        typer.echo(f"weights: {weights} ({steps} steps)")
        if change is not None:
            typer.echo(str(change))
        return
    result: dict[str, Any] = {"weights": str(weights), "steps": steps, "minutes": round(elapsed_s / 60, 1)}
    if change is not None:
        result["held_out"] = asdict(change)
    typer.echo(json.dumps(result))


app.command("tiny-gaussians")(train_tiny_gaussians)
train_systems.register(app)


if __name__ == "__main__":
    app()
