"""Depth that parallax shows: matches and a pose to log depth of both views, with what each can know.

Each match fixes the depth along its pixel's ray where the epipolar line comes nearest to it. How well it does is
the match's deviation over the shift in pixels per unit of log depth; a match away from the line is a bad one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lsm_core.backends.tiny_dense_matches import DenseMatches, GridView
from lsm_core.backends.tiny_residuals import Array

STEPS, MAX_STEP = 3, 0.4  # Gauss-Newton steps in log depth


@dataclass(frozen=True)
class TriangulationOptions:
    """What a dense match is worth; pixels are those of the output grid.

    Attributes:
        match_px: standard deviation of a good match on strong texture.
        max_round_trip_px, max_off_line_px: matches that miss their beginning or their epipolar line by more are
            dropped; below, the distance adds to the deviation.
        weak_texture: mean squared gradient along the line (grey levels per px of the input grid) at which the
            variance is twice that on strong texture.
        min_texture: below this a pixel says nothing.
        min_shift_px: a pixel whose match moves less than this per unit of log depth has no parallax.
        max_log_shift: a triangulated depth further than this from the predicted one, in log depth, is not believed.
        log_depth_floor: standard deviation of log depth that no match goes below.
        shared: neighbouring matches share their patches: so many count as one.
    """

    match_px: float = 0.5
    max_round_trip_px: float = 2.0
    max_off_line_px: float = 2.0
    weak_texture: float = 16.0
    min_texture: float = 0.2
    min_shift_px: float = 2.0
    max_log_shift: float = 1.2
    log_depth_floor: float = 0.05
    shared: float = 4.0


@dataclass(frozen=True)
class MeasuredDepth:
    """What matches say about one view's log depth, [h, w] each.

    Attributes:
        log_shift: to be added to the predicted log depth; 0 where nothing was measured.
        weight: inverse variance; 0 where nothing was measured.
    """

    log_shift: Array
    weight: Array

    @property
    def count(self) -> int:
        """Measured pixels."""
        return int((self.weight > 0).sum())

    def middle(self) -> float:
        """Return the weighted median of the shift, 0 where nothing was measured."""
        measured = self.weight > 0
        if not measured.any():
            return 0.0
        shift, weight = self.log_shift[measured], self.weight[measured]
        order = np.argsort(shift, kind="stable")
        total = np.cumsum(weight[order])
        return float(shift[order][np.searchsorted(total, total[-1] / 2)])

    def less(self, shift: float | Array) -> MeasuredDepth:
        """Return the same measurements about a prediction whose log depth was raised by ``shift``."""
        return MeasuredDepth(np.where(self.weight > 0, self.log_shift - shift, 0.0), self.weight)


@dataclass(frozen=True)
class _Projected:
    """Where pixels with given depths lie in the other view, and how that changes with log depth."""

    place: Array  # [h, w, 2] px
    motion: Array  # [h, w, 2] px per unit of log depth
    depth: Array  # [h, w] in the other camera


def triangulate(
    matches: DenseMatches, first: GridView, second: GridView, T_1_0: Array, options: TriangulationOptions
) -> tuple[MeasuredDepth, Array]:
    """Measure view 0's depth.

    Args:
        matches: of view 0's pixels in view 1.
        first, second: the views.
        T_1_0: [4, 4], in the unit of view 0's depth.
        options: what a match is worth.

    Returns:
        the measurement, and the measured points' depth [h, w] in camera 1 (of use where the weight is positive).
    """
    turned, moved = first.rays @ (second.K @ T_1_0[:3, :3]).T, second.K @ T_1_0[:3, 3]
    log_shift = np.zeros(first.depth.shape)
    for _ in range(STEPS):
        at = _project(turned, moved, first.depth * np.exp(log_shift))
        along = ((matches.place - at.place) * at.motion).sum(-1) / np.maximum((at.motion**2).sum(-1), 1e-9)
        log_shift += np.clip(along, -MAX_STEP, MAX_STEP)
    at = _project(turned, moved, first.depth * np.exp(log_shift))
    off_line = np.linalg.norm(matches.place - at.place, axis=-1)
    shift_px = np.linalg.norm(at.motion, axis=-1)
    texture = matches.texture_along(_line_directions(first, T_1_0))
    variance = options.match_px**2 + matches.round_trip**2 + off_line**2
    variance *= 1 + options.weak_texture / np.maximum(texture, 1e-6)
    weight = 1 / (variance / np.maximum(shift_px, 1e-6) ** 2 + options.log_depth_floor**2) / options.shared
    good = matches.inside & (at.depth > 1e-3) & (texture > options.min_texture) & (shift_px > options.min_shift_px)
    good &= (matches.round_trip < options.max_round_trip_px) & (off_line < options.max_off_line_px)
    good &= np.abs(log_shift) < options.max_log_shift
    return MeasuredDepth(np.where(good, log_shift, 0.0), np.where(good, weight, 0.0)), at.depth


def carry_to_other_view(
    measured: MeasuredDepth, matches: DenseMatches, depth_1: Array, second: GridView, scale_1: float
) -> MeasuredDepth:
    """Measure view 1's depth with the same matches: each point falls on the pixel of view 1 nearest to its match.

    Args:
        measured: of view 0.
        matches: of view 0's pixels in view 1.
        depth_1: [h, w] the measured points' depth in camera 1, in view 0's unit.
        second: view 1.
        scale_1: brings view 1's predicted depth to view 0's unit.
    """
    used = measured.weight > 0
    column, row = np.rint(matches.place[used]).astype(np.int64).T
    shape = second.depth.shape
    at = np.ravel_multi_index((row, column), shape)
    weight = measured.weight[used]
    log_shift = np.log(depth_1[used] / (scale_1 * second.depth[row, column]))
    total = np.bincount(at, weight, second.depth.size)
    mean = np.bincount(at, weight * log_shift, second.depth.size) / np.maximum(total, 1e-12)
    count = np.maximum(np.bincount(at, minlength=second.depth.size), 1)  # several on one pixel are no more than one
    return MeasuredDepth(mean.reshape(shape), (total / count).reshape(shape))


def _project(turned: Array, moved: Array, depth: Array) -> _Projected:
    """Project rays [h, w, 3] (already turned and in pixels) with depths [h, w], moved by [3]."""
    velocity = turned * depth[..., None]
    q = velocity + moved
    z = np.maximum(q[..., 2:], 1e-3)
    place = q[..., :2] / z
    return _Projected(place, (velocity[..., :2] - place * velocity[..., 2:]) / z, q[..., 2])


def _line_directions(first: GridView, T_1_0: Array) -> Array:
    """Return unit directions [h, w, 2] of the epipolar lines in view 0; zero where there is no baseline."""
    epipole = first.K @ (-T_1_0[:3, :3].T @ T_1_0[:3, 3])
    height, width = first.depth.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    line = epipole[:2] - np.stack((x, y), axis=-1) * epipole[2]
    length = np.linalg.norm(line, axis=-1, keepdims=True)
    return np.asarray(np.where(length > 1e-9, line / np.maximum(length, 1e-9), 0.0))
