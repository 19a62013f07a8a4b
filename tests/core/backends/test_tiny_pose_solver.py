"""The pose's solver: exact where nothing is wrong, robust where something is, never worse than its start."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares

from lsm_core.backends.tiny_pose_solver import minimise_cauchy

Array = NDArray[np.float64]


class Curve:
    """Fit y = exp(a x) + b to samples, a share of them wrong."""

    def __init__(self, wrong: int = 0) -> None:
        rng = np.random.default_rng(0)
        self.x = np.linspace(0, 1, 60)
        self.y = np.exp(0.8 * self.x) - 0.3
        self.y[rng.permutation(60)[:wrong]] += 3.0

    def residuals(self, p: Array) -> Array:
        return (np.exp(p[0] * self.x) + p[1] - self.y) / 0.05

    def jacobian(self, p: Array) -> Array:
        return np.column_stack((self.x * np.exp(p[0] * self.x), np.ones(60))) / 0.05


def test_exact_samples_give_the_exact_numbers() -> None:
    np.testing.assert_allclose(minimise_cauchy(Curve(), 2, 30), [0.8, -0.3], atol=1e-3)


def test_wrong_samples_pull_no_more_than_in_a_general_solver() -> None:
    problem = Curve(wrong=15)
    reference = least_squares(problem.residuals, np.zeros(2), problem.jacobian, loss="cauchy", max_nfev=200)
    np.testing.assert_allclose(minimise_cauchy(problem, 2, 50), reference.x, atol=1e-2)


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_the_cost_never_rises(steps: int) -> None:
    problem = Curve(wrong=20)
    cost = [
        float(np.log1p(problem.residuals(x) ** 2).sum()) for x in (np.zeros(2), minimise_cauchy(problem, 2, steps))
    ]
    assert cost[1] < cost[0]


def test_a_number_that_nothing_depends_on_stays() -> None:
    class Blind(Curve):
        def jacobian(self, p: Array) -> Array:
            return np.column_stack((super().jacobian(p)[:, :2], np.zeros(60)))

    found = minimise_cauchy(Blind(), 3, 30)
    assert found[2] == 0.0
    np.testing.assert_allclose(found[:2], [0.8, -0.3], atol=1e-3)
