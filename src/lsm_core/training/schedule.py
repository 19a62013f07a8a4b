"""Learning rates over the steps of a run, as the released training programs set them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from lsm_core.errors import InputError


@dataclass(frozen=True)
class ScheduleConfig:
    """A warm-up and what follows.

    Attributes:
        kind: after the warm-up "constant", "cosine" (half a wave down to `final_rate`), or "steps" (times `factor`
            at each milestone).
        warmup_steps: the rate grows linearly from `warmup_from` times the peak.
        warmup_from: share of the peak at step 0.
        cosine_steps: length of the half wave, counted from the end of the warm-up.
        final_rate: where the cosine ends, absolute; a group whose peak is lower goes up to it.
        milestones, factor: of "steps".
    """

    kind: Literal["constant", "cosine", "steps"] = "constant"
    warmup_steps: int = 0
    warmup_from: float = 0.0
    cosine_steps: int = 0
    final_rate: float = 0.0
    milestones: tuple[int, ...] = ()
    factor: float = 0.1

    def __post_init__(self) -> None:
        if self.kind == "cosine" and self.cosine_steps < 1:
            raise InputError("A cosine schedule needs cosine_steps.", "Set run: {schedule: {cosine_steps: ...}}.")

    def rate(self, peak: float, step: int) -> float:
        """Return the learning rate of a group.

        Args:
            peak: of the group.
            step: from 0.
        """
        if step < self.warmup_steps:
            return peak * (self.warmup_from + (1 - self.warmup_from) * step / self.warmup_steps)
        if self.kind == "cosine":
            share = min((step - self.warmup_steps) / self.cosine_steps, 1.0)
            return self.final_rate + (peak - self.final_rate) * 0.5 * (1 + math.cos(math.pi * share))
        if self.kind == "steps":
            return peak * self.factor ** sum(step >= milestone for milestone in self.milestones)
        return peak
