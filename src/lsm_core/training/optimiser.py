"""Optimisers of the training systems: parameter groups with their own peak rates and weight decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lsm_core.errors import InputError
from lsm_core.training.run_config import OptimiserConfig
from lsm_core.training.schedule import ScheduleConfig


def make_optimiser(
    parameters: Iterable[tuple[str, nn.Parameter]], config: OptimiserConfig, share: Callable[[str], float]
) -> torch.optim.Adam:
    """Return the optimiser of all parameters that require gradients.

    Args:
        parameters: by name.
        config: kind, peak and weight decay.
        share: of the peak rate that a parameter gets, by its name.

    Raises:
        InputError: nothing is trained.
    """
    groups: dict[tuple[float, bool], list[Tensor]] = {}
    for name, parameter in parameters:
        if parameter.requires_grad:
            decays = config.decay_vectors or (parameter.ndim >= 2 and not name.endswith(".bias"))
            groups.setdefault((share(name), decays), []).append(parameter)
    if not groups:
        raise InputError("No parameter of this system is trained.", "Unfreeze a part in the --config file.")
    kind = torch.optim.AdamW if config.kind == "adamw" else torch.optim.Adam
    decay = config.weight_decay if config.kind == "adamw" else 0.0
    return kind(
        [
            {"params": params, "peak": factor * config.learning_rate, "weight_decay": decay if decays else 0.0}
            for (factor, decays), params in groups.items()
        ],
        lr=config.learning_rate,
        betas=config.betas,
    )


def set_rates(optimiser: torch.optim.Optimizer, schedule: ScheduleConfig, step: int) -> float:
    """Set every group's rate for a step; return that of the group with the highest peak."""
    for group in optimiser.param_groups:
        group["lr"] = schedule.rate(group["peak"], step)
    highest = max(optimiser.param_groups, key=lambda group: float(group["peak"]))
    return float(highest["lr"])


def trained_tensors(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """Return all tensors that an optimiser changes."""
    return [p for group in optimiser.param_groups for p in group["params"]]
