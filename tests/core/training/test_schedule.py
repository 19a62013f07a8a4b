"""Learning rates are those of PyTorch's own schedulers as the released programs chain them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim import lr_scheduler

from lsm_core.errors import InputError
from lsm_core.training.optimiser import make_optimiser, set_rates
from lsm_core.training.run_config import OptimiserConfig
from lsm_core.training.schedule import ScheduleConfig
from lsm_core.training.systems.presets import LSM_RELEASED


def torch_rates(peak: float, steps: int, make: object) -> list[float]:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=peak)
    schedule = make(optimiser)  # type: ignore[operator]
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return rates


def own_rates(schedule: ScheduleConfig, peak: float, steps: int) -> list[float]:
    return [schedule.rate(peak, step) for step in range(steps)]


def test_linear_warm_up_then_constant_as_pixelsplat() -> None:
    expected = torch_rates(1.5e-4, 60, lambda o: lr_scheduler.LinearLR(o, 1 / 40, 1, total_iters=40))
    assert own_rates(ScheduleConfig("constant", 40, 1 / 40), 1.5e-4, 60) == pytest.approx(expected, rel=1e-6)


def test_milestones_as_splatt3r() -> None:
    expected = torch_rates(1e-5, 30, lambda o: lr_scheduler.MultiStepLR(o, [10, 20], 0.1))
    own = own_rates(ScheduleConfig("steps", milestones=(10, 20)), 1e-5, 30)
    assert own == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("peak", [2e-4, 2e-5], ids=["new parts", "backbone, whose peak is the final rate"])
def test_warm_up_then_cosine_as_noposplat(peak: float) -> None:
    def chained(optimiser: torch.optim.Optimizer) -> lr_scheduler.SequentialLR:
        warm = lr_scheduler.LinearLR(optimiser, 1 / 25, 1, total_iters=25)
        cosine = lr_scheduler.CosineAnnealingLR(optimiser, T_max=100, eta_min=2e-5)
        return lr_scheduler.SequentialLR(optimiser, [warm, cosine], [25])

    own = own_rates(ScheduleConfig("cosine", 25, 1 / 25, cosine_steps=100, final_rate=2e-5), peak, 120)
    assert own == pytest.approx(torch_rates(peak, 120, chained), rel=1e-5)


def test_epochs_of_warm_up_then_half_a_cosine_as_dust3r() -> None:
    """Its formula in epochs: base * e / 10, then min + (base - min) / 2 * (1 + cos(pi (e - 10) / 90))."""
    schedule = LSM_RELEASED.run.schedule
    for step in (0, 1000, 3125, 10000, 31249):
        epoch = step / 312.5
        wave = 1e-6 + (1e-4 - 1e-6) * 0.5 * (1 + math.cos(math.pi * (epoch - 10) / 90))
        assert schedule.rate(1e-4, step) == pytest.approx(1e-4 * epoch / 10 if epoch < 10 else wave, rel=1e-9)


def test_groups_have_their_own_peaks_and_only_matrices_decay() -> None:
    layer = torch.nn.Linear(2, 3)
    config = OptimiserConfig("adamw", 1e-2, weight_decay=0.05, decay_vectors=False)
    optimiser = make_optimiser(layer.named_parameters(), config, lambda name: 0.1 if name == "bias" else 1.0)
    assert set_rates(optimiser, ScheduleConfig("steps", milestones=(5,)), 5) == pytest.approx(1e-3)
    found = {tuple(g["params"][0].shape): (g["lr"], g["weight_decay"]) for g in optimiser.param_groups}
    assert found == {(3, 2): (pytest.approx(1e-3), 0.05), (3,): (pytest.approx(1e-4), 0.0)}


def test_nothing_to_train_and_a_cosine_without_length_are_refused() -> None:
    with pytest.raises(InputError, match="trained"):
        make_optimiser(torch.nn.Linear(2, 3).requires_grad_(False).named_parameters(), OptimiserConfig(), len)
    with pytest.raises(InputError, match="cosine_steps"):
        ScheduleConfig("cosine")
