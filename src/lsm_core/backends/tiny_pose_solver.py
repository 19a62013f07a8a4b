"""Damped Gauss-Newton steps for the few numbers of a pair pose, wrong matches weighed down."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from lsm_core.backends.tiny_residuals import Array

FIRST_DAMPING, DAMPING_STEP, MIN_DAMPING, MAX_DAMPING = 1e-3, 6.0, 1e-7, 1e3
LONGEST_STEP = 1.0  # of any of the numbers: a radian, a median depth, a factor of e
ENOUGH = 1e-4  # relative fall of the cost below which another step is not worth its time


class LeastSquares(Protocol):
    """Residuals [R] and their derivatives [R, n] as functions of n numbers."""

    def residuals(self, x: Array) -> Array:
        """Return [R]."""
        ...

    def jacobian(self, x: Array) -> Array:
        """Return [R, n]."""
        ...


def minimise_cauchy(problem: LeastSquares, size: int, max_steps: int) -> Array:
    """Minimise sum ln(1 + r^2) from zero by reweighted, damped Gauss-Newton steps (Levenberg-Marquardt).

    For seven unknowns and some hundred matches a general solver spends most of its time on itself.

    Args:
        problem: whitened residuals, so that 1 is where a residual begins to count less.
        size: n, of the unknowns.
        max_steps: accepted steps at most.

    Returns:
        [n]; the cost there is never above that at zero.
    """
    x, damping = np.zeros(size), FIRST_DAMPING
    r = problem.residuals(x)
    cost = float(np.log1p(r * r).sum())
    for _ in range(max_steps):
        J, weight = problem.jacobian(x), 1.0 / (1.0 + r * r)
        weighted = J * weight[:, None]
        H, g = weighted.T @ J, weighted.T @ r
        before = cost
        while damping < MAX_DAMPING:
            step = np.linalg.solve(H + damping * np.diag(np.diag(H)) + 1e-12 * np.eye(size), g)
            trial = x - step / max(1.0, float(np.abs(step).max()) / LONGEST_STEP)
            trial_r = problem.residuals(trial)
            trial_cost = float(np.log1p(trial_r * trial_r).sum())
            if trial_cost < cost:
                x, r, cost, damping = trial, trial_r, trial_cost, max(damping / DAMPING_STEP, MIN_DAMPING)
                break
            damping *= DAMPING_STEP
        if before - cost < ENOUGH * before:
            break
    return x
