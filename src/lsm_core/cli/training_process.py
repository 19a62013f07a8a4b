"""What every `lsm train` command sets up: logging, threads, signals, progress."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


@contextmanager
def training_process(threads: int | None) -> Iterator[None]:
    """Set logging, threads and signals as training wants them; an interrupt ends the command with code 130."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    if threads is not None:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # fresh Adam moments are denormal, and slow on CPUs
    for event in (signal.SIGTERM, signal.SIGINT):  # a shell's background jobs ignore the latter
        signal.signal(event, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopped; the same command goes on from the last checkpoint", err=True)
        raise typer.Exit(130) from None
    finally:
        torch.set_flush_denormal(False)


@contextmanager
def shown_progress(name: str, silent: bool) -> Iterator[Callable[[float, str], None]]:
    """Show a bar; the function given takes the share that is done, 0 to 1, and a line of figures."""
    with Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), disable=silent) as bar:
        task = bar.add_task(name, total=1.0)
        yield lambda share, text: bar.update(task, completed=share, description=text)
