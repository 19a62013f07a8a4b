"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averages every floating-point tensor of a model, with a shorter memory in the first steps."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.state: dict[str, Tensor] = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        current = model.state_dict()
        names = [name for name, value in current.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.state[n] for n in names], [current[n] for n in names], 1 - decay)

    def restore(self, state: Mapping[str, Tensor], updates: int, device: torch.device) -> None:
        """Go on from an average that a checkpoint kept."""
        self.state = {name: value.to(device) for name, value in state.items()}
        self.updates = updates
