"""Training state on disk: written whole or not at all, restored exactly."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lsm_core.errors import WeightsError
from lsm_core.io.atomic import atomic_path
from lsm_core.training.ema import WeightAverage

FILE_NAME = "checkpoint.pt"


@dataclass(frozen=True)
class TrainState:
    """What a run needs to go on as if it had not stopped."""

    model: dict[str, Any]
    average: dict[str, Any]
    average_updates: int
    optimiser: dict[str, Any]
    torch_rng: torch.Tensor
    step: int
    elapsed_s: float
    config: dict[str, Any]

    @classmethod
    def of(
        cls,
        network: nn.Module,
        average: WeightAverage | None,
        optimiser: torch.optim.Optimizer,
        progress: tuple[int, float],
        config: dict[str, Any],
    ) -> TrainState:
        """Take the state of a run as it is now.

        Args:
            network: what is trained.
            average: the average of its weights, where the run keeps one.
            optimiser: its optimiser.
            progress: steps taken, and seconds they took.
            config: the settings, so that a run is not resumed with others.
        """
        return cls(
            model=network.state_dict(),
            average={} if average is None else average.state,
            average_updates=0 if average is None else average.updates,
            optimiser=optimiser.state_dict(),
            torch_rng=torch.get_rng_state(),
            step=progress[0],
            elapsed_s=progress[1],
            config=config,
        )


def save_state(state: TrainState, folder: Path) -> Path:
    """Write the state atomically to ``folder/checkpoint.pt``."""
    path = folder / FILE_NAME
    data = io.BytesIO()  # since torch hides the cause of a failed write
    torch.save(vars(state), data)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.getbuffer())
    return path


def load_state(folder: Path) -> TrainState | None:
    """Read the state of an interrupted run, or None where there is none.

    Raises:
        WeightsError: the file is damaged.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return None
    try:
        return TrainState(**torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise WeightsError(
            f"The training checkpoint {path.name} cannot be read: {error}.", "Remove it to start over."
        ) from error
