"""The correction field: equal to its plain dense twin, robust, silent without measurements, broken at edges."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lsm_core.backends.tiny_depth_field import (
    DepthFieldOptions,
    fit_depth_field,
    fit_smooth_field,
    fit_trend,
    solve_field,
)
from lsm_core.backends.tiny_triangulation import MeasuredDepth

OPTIONS = DepthFieldOptions()
SHAPE = (48, 64)
Array = NDArray[np.float64]


def room_log_depth() -> Array:
    y, x = np.mgrid[0:1:48j, 0:1:64j]
    return np.log(2.0 + y + 0.5 * x)


def everywhere(shift: Array, weight: float = 100.0) -> MeasuredDepth:
    return MeasuredDepth(shift, np.full(shift.shape, weight))


def plain_solution(diagonal: Array, right_side: Array, down: Array, right: Array) -> Array:
    """The same minimum from the full matrix, neighbour by neighbour."""
    height, width = diagonal.shape
    A, number = np.diag(diagonal.ravel()), np.arange(height * width).reshape(height, width)
    for row in range(height):
        for column in range(width):
            for there, weight in (
                ((row + 1, column), down[row, column] if row + 1 < height else 0.0),
                ((row, column + 1), right[row, column] if column + 1 < width else 0.0),
            ):
                if weight:
                    i, j = number[row, column], number[there]
                    A[[i, j], [i, j]] += weight
                    A[[i, j], [j, i]] -= weight
    return np.linalg.solve(A, right_side.ravel()).reshape(height, width)


@pytest.mark.parametrize("shape", [(5, 7), (9, 4), (2, 2)])
def test_the_banded_solution_is_that_of_the_full_matrix(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    height, width = shape
    diagonal, right_side = rng.random(shape) + 0.1, rng.normal(size=shape)
    down, right = rng.random((height - 1, width)), rng.random((height, width - 1))
    expected = plain_solution(diagonal, right_side, down, right)
    np.testing.assert_allclose(solve_field(diagonal, right_side, down, right), expected, atol=1e-10)


def test_nothing_measured_changes_nothing() -> None:
    found = fit_depth_field(room_log_depth(), MeasuredDepth(np.zeros(SHAPE), np.zeros(SHAPE)), OPTIONS)
    assert not found.log_shift.any() and not found.information.any()


def test_tilt_and_contrast_measured_on_one_half_hold_on_the_other() -> None:
    log_depth = room_log_depth()
    _, x = np.mgrid[-1:1:48j, -1:1:64j]
    bend = 0.1 * x + 0.25 * (log_depth - log_depth.mean())
    measured = everywhere(bend)
    measured.weight[:, 32:] = 0
    right = np.s_[:, 40:]
    assert np.abs(bend - fit_trend(log_depth, measured, OPTIONS))[right].mean() < 0.4 * np.abs(bend)[right].mean()


def test_a_fifth_of_wrong_measurements_hardly_matters() -> None:
    rng = np.random.default_rng(1)
    y, _ = np.mgrid[-1:1:48j, -1:1:64j]
    bend = 0.15 * np.cos(2 * y)
    shift = bend + rng.normal(0, 0.05, SHAPE)
    shift[rng.random(SHAPE) < 0.2] = 0.9
    found = fit_depth_field(room_log_depth(), everywhere(shift), OPTIONS)
    assert np.abs(found.log_shift - bend).mean() < 0.03


def test_the_field_breaks_where_depth_breaks_and_nowhere_else() -> None:
    shift = np.where(np.arange(64) < 32, 0.0, 0.3) * np.ones(SHAPE)
    measured = everywhere(shift, 20.0)
    measured.weight[:, 16:48] = 0  # the jump itself is not measured

    def jump(log_depth: Array) -> float:
        field, _ = fit_smooth_field(log_depth, measured, OPTIONS)
        return float((field[:, 36] - field[:, 27]).mean())

    edge = np.where(np.arange(64) < 32, 0.0, 0.7) * np.ones(SHAPE)
    assert jump(edge) > 0.25
    assert jump(np.zeros(SHAPE)) < 0.15


def test_information_is_where_measurements_are() -> None:
    measured = everywhere(np.full(SHAPE, 0.1))
    measured.weight[:, 32:] = 0
    information = fit_depth_field(room_log_depth(), measured, OPTIONS).information
    assert information[:, :28].min() > 1000
    assert not information[:, 36:].any()
