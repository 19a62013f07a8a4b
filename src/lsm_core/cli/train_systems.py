"""`lsm train lsm|splatt3r|noposplat|pixelsplat`: train a reference system on posed views."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from lsm_core.cli.training_process import training_process

if TYPE_CHECKING:
    from lsm_core.training.system_trainer import SystemTrainer
    from lsm_core.training.systems import TrainingSystem

NAMES = ("lsm", "splatt3r", "noposplat", "pixelsplat")


@dataclass(frozen=True)
class Beginning:
    """What a new run begins with.

    Attributes:
        name: of the system.
        config: preset or file.
        changes: fields of its run that the command line changes.
        parents, start: where weights come from, see `lsm train SYSTEM --help`.
    """

    name: str
    config: str
    changes: Mapping[str, int]
    parents: Path | None
    start: Path | None

    def chosen(self) -> Any:
        """Return the configuration.

        Raises:
            InputError: there is none of that name, or the file does not fit.
        """
        from lsm_core.training.config_choice import choose_config
        from lsm_core.training.systems import SYSTEMS

        config = choose_config(self.config, SYSTEMS[self.name].presets, "released")
        return replace(config, run=replace(config.run, **self.changes))

    def system(self) -> TrainingSystem:
        """Return the system, filled as asked for.

        Raises:
            InputError: both parents and weights of its own are named, or the configuration does not fit.
            WeightsError: a file does not fit.
        """
        from lsm_core.errors import InputError
        from lsm_core.training.systems import SYSTEMS, make_system

        kind = SYSTEMS[self.name]
        if self.parents is not None and self.start is not None:
            raise InputError(
                "--parents and --start exclude each other.",
                f"--parents for {kind.parents}, --start for weights of {self.name} itself.",
            )
        system = make_system(self.name, self.chosen())
        if self.parents is not None:
            system.load_parents(self.parents)
        if self.start is not None:
            system.load_official(self.start)
        return system


def register(app: typer.Typer) -> None:
    """Add one command per system."""
    for name in NAMES:
        _add(app, name)


def _add(app: typer.Typer, name: str) -> None:
    def train(
        data: Annotated[
            list[str] | None,
            typer.Option(help="FORMAT:PLACE of posed views (docs/training.md), or boxes; repeatable."),
        ] = None,
        out: Annotated[
            Path | None, typer.Option(help="Folder for checkpoint, log and weights; an old run is resumed.")
        ] = None,
        config: Annotated[
            str, typer.Option(help="released, smoke, or a .yaml file that changes one.")
        ] = "released",
        parents: Annotated[
            Path | None, typer.Option(help="Checkpoints of the models this one is trained from, file or folder.")
        ] = None,
        start: Annotated[Path | None, typer.Option(help="Weights of this model to begin from.")] = None,
        steps: Annotated[int | None, typer.Option(min=1, help="Optimiser steps instead of the config's.")] = None,
        seed: Annotated[int | None, typer.Option(help="Seed instead of the config's.")] = None,
        threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of PyTorch.")] = None,
        device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
        tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log for TensorBoard, too.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, no progress bar.")] = False,
        show_config: Annotated[
            bool, typer.Option("--show-config", help="Print the configuration as YAML and do nothing.")
        ] = False,
    ) -> None:
        given = {key: value for key, value in {"steps": steps, "seed": seed}.items() if value is not None}
        beginning = Beginning(name, config, given, parents, start)
        if show_config:
            from lsm_core.training.config_choice import config_text

            typer.echo(config_text(beginning.chosen()))
            return
        if out is None:
            raise typer.BadParameter("Name the folder of the run.", param_hint="--out")
        with training_process(threads):
            _train(beginning, data or [], out, device, tensorboard, as_json)

    train.__doc__ = (
        f"Train {name}. Can be interrupted at any time: the same command resumes it. "
        "Several GPUs: torchrun --nproc-per-node N -m lsm_core.cli.main train ..."
    )
    app.command(name)(train)


def _train(beginning: Beginning, data: list[str], out: Path, device: str, tensorboard: bool, as_json: bool) -> None:
    """Train, and say where the weights are."""
    from lsm_core.backends.registry import resolve_device
    from lsm_core.data.sources import open_sources
    from lsm_core.training.processes import joined_processes
    from lsm_core.training.system_trainer import SystemTrainer

    system = beginning.system()
    source = open_sources(data, system.selection)
    with joined_processes(resolve_device(device)) as processes:
        trainer = SystemTrainer(system, source, out, processes, tensorboard)
        weights = _run(trainer, beginning.name, silent=as_json or not processes.first)
    if processes.first:
        result = {"weights": str(weights), "steps": trainer.step, "minutes": round(trainer.elapsed_s / 60, 1)}
        typer.echo(json.dumps(result) if as_json else f"weights: {weights} ({trainer.step} steps)")


def _run(trainer: SystemTrainer, name: str, silent: bool) -> Path:
    """Train with a progress bar; return the weights' path."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=silent) as bar:
        task = bar.add_task(name, total=trainer.run_config.steps, completed=trainer.step)

        def report(step: int, figures: dict[str, float]) -> None:
            bar.update(task, completed=step, description=f"{name}  loss {figures['loss']:.4f}")

        return trainer.run(report)
