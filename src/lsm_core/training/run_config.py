"""What decides a training run besides the model: length, batches, optimiser, schedule, precision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lsm_core.errors import InputError
from lsm_core.training.schedule import ScheduleConfig


@dataclass(frozen=True)
class OptimiserConfig:
    """The optimiser.

    Attributes:
        kind: "adam" has no weight decay, "adamw" has it decoupled.
        learning_rate: the peak; a system may give some of its parameters a share of it.
        betas: of the moments.
        weight_decay: of adamw.
        decay_vectors: weight decay also reaches biases and the gains of norms.
        clip_norm: gradients are scaled down to this norm; 0 leaves them.
    """

    kind: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    decay_vectors: bool = True
    clip_norm: float = 0.0


@dataclass(frozen=True)
class RunConfig:
    """One run.

    Attributes:
        steps: optimiser steps.
        batch: samples per process and forward pass.
        accumulate: forward passes per optimiser step.
        seed: of weights, data, augmentation and everything that is drawn.
        precision: "bfloat16" runs the image networks under autocast; geometry, losses and weights stay in float32.
        ema_decay: of the average of the weights that is exported; 0 exports the weights themselves.
        checkpoint_steps: a checkpoint is written after so many steps, and at the end.
        optimiser, schedule: as said there.
    """

    steps: int = 1000
    batch: int = 1
    accumulate: int = 1
    seed: int = 0
    precision: Literal["float32", "bfloat16"] = "float32"
    ema_decay: float = 0.0
    checkpoint_steps: int = 500
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.accumulate, self.checkpoint_steps) < 1:
            raise InputError(
                "steps, batch, accumulate and checkpoint_steps must be 1 or more.", "Change the config."
            )
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay must be in [0, 1), got {self.ema_decay}.", "Use 0 for no average.")
