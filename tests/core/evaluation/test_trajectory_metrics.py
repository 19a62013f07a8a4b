"""Trajectory errors of paths whose errors are known in advance."""

from __future__ import annotations

import math

import pytest
import torch

from lsm_core.errors import GeometryError, InputError
from lsm_core.evaluation.trajectory_metrics import absolute_error, relative_error
from lsm_core.geometry import rigid, so3_exp

FLOAT = torch.float64


def circle(count: int = 16) -> torch.Tensor:
    """Cameras around a circle of radius 2 that rise slowly and look along it."""
    angles = torch.linspace(0, 5, count, dtype=FLOAT)
    places = torch.stack([2 * angles.cos(), 0.1 * angles, 2 * angles.sin()], 1)
    turns = so3_exp(torch.stack([torch.zeros_like(angles), -angles, torch.zeros_like(angles)], 1))
    return rigid(turns, places)


def moved(path: torch.Tensor, scale: float) -> torch.Tensor:
    """The same path in another frame and unit."""
    T = rigid(so3_exp(torch.tensor([0.3, -1.0, 0.5], dtype=FLOAT)), torch.tensor([4.0, 1, -2], dtype=FLOAT))
    out = T @ path
    out[:, :3, 3] = scale * out[:, :3, 3]
    return out


def test_a_path_in_another_frame_and_unit_has_no_error_after_sim3() -> None:
    found = absolute_error(moved(circle(), 0.25), circle(), "sim3")
    assert found.rmse == pytest.approx(0, abs=1e-9)
    assert found.scale == pytest.approx(4)
    assert absolute_error(moved(circle(), 1.0), circle(), "se3").rmse == pytest.approx(0, abs=1e-9)
    assert absolute_error(moved(circle(), 0.25), circle(), "se3").rmse > 0.5
    assert absolute_error(moved(circle(), 1.0), circle(), "none").rmse > 2


def test_one_displaced_pose_is_the_largest_error() -> None:
    wrong = circle()
    wrong[5, 0, 3] += 0.3
    found = absolute_error(wrong, circle(), "none")
    assert found.largest == pytest.approx(0.3)
    assert found.rmse == pytest.approx(0.3 / math.sqrt(16))
    assert found.median == pytest.approx(0)


def test_a_steady_turn_and_stretch_show_in_every_motion() -> None:
    true = circle()
    step = rigid(so3_exp(torch.tensor([0.0, math.radians(2), 0.0], dtype=FLOAT)), torch.zeros(3, dtype=FLOAT))
    estimated = [true[0]]
    for k in range(1, len(true)):
        motion = torch.linalg.inv(true[k - 1]) @ true[k]
        estimated.append(estimated[-1] @ motion @ step)
    found = relative_error(torch.stack(estimated), true)
    assert found.rotation_rmse_deg == pytest.approx(2, abs=1e-9)
    assert found.rotation_median_deg == pytest.approx(2, abs=1e-9)
    assert found.translation_rmse == pytest.approx(0, abs=1e-9)
    assert found.motions == 15
    stretched = circle()
    stretched[:, :3, 3] *= 1.5
    length = float((circle()[1, :3, 3] - circle()[0, :3, 3]).norm())
    assert relative_error(stretched, circle()).translation_median == pytest.approx(0.5 * length, rel=1e-9)
    assert relative_error(stretched, circle(), scale=1 / 1.5).translation_rmse == pytest.approx(0, abs=1e-9)


def test_what_cannot_be_aligned_is_refused() -> None:
    with pytest.raises(GeometryError):
        absolute_error(circle(2), circle(2))
    with pytest.raises(InputError):
        absolute_error(circle(4), circle(5))
    with pytest.raises(InputError):
        relative_error(circle(3), circle(3), frames=3)
