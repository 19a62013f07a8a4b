"""A depth map bent to fit measurements: first its tilt and contrast, then a smooth field that may break at edges.

What a network gets wrong in an unfamiliar room is mostly of low order: the room leans, near and far are too alike.
A handful of numbers, fitted robustly, take that out also where nothing was measured. The rest is a field on a
coarse grid: a first-order smoothness prior, weaker where the predicted depth breaks, and measurements whose weight
falls with their residual (Cauchy). Both are least squares that are weighted anew a few times; the field's normal
equations are a band as wide as the grid is high, solved exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.linalg import solveh_banded

from lsm_core.backends.tiny_residuals import Array
from lsm_core.backends.tiny_triangulation import MeasuredDepth


@dataclass(frozen=True)
class DepthFieldOptions:
    """How stiff a correction of log depth is.

    Attributes:
        trend: standard deviation of the tilt over half an image.
        contrast: standard deviation of the gain of log depth about its mean.
        trend_scale: residual of log depth at which a measurement has half its weight in the trend.
        trend_weight: measurements count this much in the trend, since a wrong pose bends all of them together.
        cell: output pixels per cell of the field, along each side.
        step: standard deviation of the field's difference between neighbouring output pixels.
        edge: difference of log depth between neighbouring cells at which that standard deviation is twice as large.
        largest: standard deviation of the field itself.
        rounds: of weighting anew.
    """

    trend: float = 0.12
    contrast: float = 0.3
    trend_scale: float = 0.15
    trend_weight: float = 0.02
    cell: int = 4
    step: float = 0.03
    edge: float = 0.1
    largest: float = 1.0
    rounds: int = 4


@dataclass(frozen=True)
class DepthField:
    """A correction of one view's log depth, [h, w] each.

    Attributes:
        log_shift: to be added.
        information: inverse variance of log depth that the measurements in the pixel's cell bring.
    """

    log_shift: Array
    information: Array


def fit_depth_field(log_depth: Array, measured: MeasuredDepth, options: DepthFieldOptions) -> DepthField:
    """Fit a correction to measurements.

    Args:
        log_depth: [h, w] predicted; h and w multiples of ``options.cell``.
        measured: what is known about the correction.
        options: how stiff it is.
    """
    trend = fit_trend(log_depth, measured, options)
    field, information = fit_smooth_field(log_depth + trend, measured.less(trend), options)
    return DepthField(trend + field, information)


def fit_trend(log_depth: Array, measured: MeasuredDepth, options: DepthFieldOptions) -> Array:
    """Return [h, w]: offset, tilt and contrast that fit the measurements best (a ridge keeps them small)."""
    height, width = log_depth.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    basis = np.stack((np.ones_like(x), x, y, log_depth - log_depth.mean()), axis=-1)
    ridge = np.diag(1 / np.array([options.trend, options.trend, options.trend, options.contrast]) ** 2)
    used = measured.weight > 0
    A, b, known = basis[used], measured.log_shift[used], options.trend_weight * measured.weight[used]
    weight = known
    solution = np.zeros(4)
    for _ in range(options.rounds):
        weighted = A.T * weight
        solution = np.linalg.solve(weighted @ A + ridge, weighted @ b)
        weight = known / (1 + ((b - A @ solution) / options.trend_scale) ** 2)
    return np.asarray(basis @ solution)


def fit_smooth_field(log_depth: Array, measured: MeasuredDepth, options: DepthFieldOptions) -> tuple[Array, Array]:
    """Return the smooth field [h, w] that fits the measurements best, and the information [h, w] behind it."""
    size = options.cell
    shift, known = _cells(measured.log_shift, size), _cells(measured.weight, size)  # [H, W, cell^2]
    down, right = smoothness(_cells(log_depth, size).mean(-1), options)
    field, weight = np.zeros(shift.shape[:2]), known
    for _ in range(options.rounds):
        field = solve_field(weight.sum(-1) + options.largest**-2, (weight * shift).sum(-1), down, right)
        weight = known / (1 + known * (shift - field[..., None]) ** 2)
    both = np.dstack((field, weight.sum(-1)))
    full = cv2.resize(both, log_depth.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float64)
    return full[..., 0], full[..., 1]


def smoothness(log_depth: Array, options: DepthFieldOptions) -> tuple[Array, Array]:
    """Return the weights between cells and their neighbours below [H - 1, W] and to the right [H, W - 1]."""
    step = options.step * np.sqrt(options.cell)

    def weight(difference: Array) -> Array:
        return np.asarray((step * (1 + (difference / options.edge) ** 2)) ** -2)

    return weight(np.diff(log_depth, axis=0)), weight(np.diff(log_depth, axis=1))


def solve_field(diagonal: Array, right_side: Array, down: Array, right: Array) -> Array:
    """Minimise sum diagonal f^2 - 2 right_side f + sum down (f_below - f)^2 + sum right (f_right - f)^2.

    Args:
        diagonal, right_side: [H, W], ``diagonal`` > 0.
        down, right: [H - 1, W] and [H, W - 1], weights between neighbours.

    Returns:
        f [H, W].
    """
    height, width = diagonal.shape
    total = diagonal.copy()
    for weights, head, tail in ((down, np.s_[:-1], np.s_[1:]), (right, np.s_[:, :-1], np.s_[:, 1:])):
        total[head] += weights
        total[tail] += weights
    band = np.zeros((height + 1, height * width))  # lower form, cells counted down the columns
    band[0] = total.T.ravel()
    band[1].reshape(width, height)[:, :-1] = -down.T
    band[height, : height * (width - 1)] -= right.T.ravel()
    return np.asarray(solveh_banded(band, right_side.T.ravel(), lower=True).reshape(width, height).T)


def _cells(values: Array, size: int) -> Array:
    """Return the pixels [H, W, size^2] of each cell of [H size, W size]."""
    height, width = values.shape
    blocks = values.reshape(height // size, size, width // size, size)
    return blocks.transpose(0, 2, 1, 3).reshape(height // size, width // size, size * size)
