"""Measurements of metres per unit from odometry, a depth image or a rig."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.mapping.pose_gate import direction_angle_deg, rotation_angle_deg
from lsm_core.mapping.robust import depth_ratio
from lsm_core.mapping.scale import ScaleSample, ScaleSource

Pose = NDArray[np.float64]
MAX_WEIGHT = 10.0


@dataclass(frozen=True)
class SampleConfig:
    """When a measurement is refused.

    Attributes:
        min_baseline_m: shortest baseline, metres, that odometry or a rig may give scale from.
        min_m_per_deg: shortest baseline per degree of rotation: in a fast turn the length of the motion is guessed.
        max_rotation_error_deg: largest disagreement of rotation between the pair and odometry.
        max_direction_error_deg: largest disagreement of the direction of motion.
        min_depth_pixels: pixels valid in both the depth image and the prediction.
        max_depth_spread: largest robust spread of the log ratio of depths.
        min_floor_share: share of the confident points that must lie on the floor plane.
        max_floor_tilt_deg: largest angle between the fitted plane's normal and the given up direction.
    """

    min_baseline_m: float = 0.05
    min_m_per_deg: float = 0.01
    max_rotation_error_deg: float = 10.0
    max_direction_error_deg: float = 45.0
    min_depth_pixels: int = 200
    max_depth_spread: float = 0.4
    min_floor_share: float = 0.08
    max_floor_tilt_deg: float = 10.0


@dataclass(frozen=True)
class SampleResult:
    """A measurement, or why there is none ("short_baseline", "no_motion", "rotation", "direction", "turn",
    "few_pixels", "depth_spread", "no_floor", "not_finite")."""

    sample: ScaleSample | None
    reason: str = ""


def sample_from_baseline(
    T_older_newer_metric: Pose,
    T_older_newer: Pose,
    source: ScaleSource = ScaleSource.ODOMETRY,
    stamp_ns: int = 0,
    config: SampleConfig | None = None,
) -> SampleResult:
    """Compare the length of a motion known in metres with that of the pair.

    Args:
        T_older_newer_metric: [4, 4] of the two camera (optical) frames in metres: from odometry and extrinsics,
            inv(T_odom_older) @ T_odom_newer, or from the rig's extrinsics.
        T_older_newer: [4, 4] of the same frames by the pair, in segment units.
        source: ODOMETRY or RIG.
        stamp_ns: stamp of the newer image.
        config: limits.

    Returns:
        A sample weighted by the baseline in units of `min_baseline_m` (at most 10), or a reason.
    """
    limits = config or SampleConfig()
    metric, units = np.asarray(T_older_newer_metric, np.float64), np.asarray(T_older_newer, np.float64)
    if not (np.isfinite(metric).all() and np.isfinite(units).all()):
        return SampleResult(None, "not_finite")
    baseline_m, baseline = float(np.linalg.norm(metric[:3, 3])), float(np.linalg.norm(units[:3, 3]))
    if baseline_m < limits.min_baseline_m:
        return SampleResult(None, "short_baseline")
    if baseline < 1e-9:
        return SampleResult(None, "no_motion")
    if rotation_angle_deg(metric[:3, :3], units[:3, :3]) > limits.max_rotation_error_deg:
        return SampleResult(None, "rotation")
    if direction_angle_deg(metric[:3, 3], units[:3, 3]) > limits.max_direction_error_deg:
        return SampleResult(None, "direction")
    turn_deg = rotation_angle_deg(metric[:3, :3], np.eye(3))
    if source is ScaleSource.ODOMETRY and baseline_m < limits.min_m_per_deg * turn_deg:
        return SampleResult(None, "turn")
    weight = min(MAX_WEIGHT, baseline_m / max(limits.min_baseline_m, 1e-6))
    return SampleResult(ScaleSample(baseline_m / baseline, source, weight, stamp_ns))


def sample_from_depth(
    depth_m: NDArray[Any],
    depth_units: NDArray[np.float32],
    confidence: NDArray[np.float32],
    grid_to_image: NDArray[Any] | None = None,
    stamp_ns: int = 0,
    config: SampleConfig | None = None,
    source: ScaleSource = ScaleSource.DEPTH,
) -> SampleResult:
    """Compare depths known in metres with the predicted depth of the same view.

    Args:
        depth_m: [H, W] metres, registered to the image; not finite or <= 0 where there is none.
        depth_units: [h, w] predicted z-depth on the model grid, segment units.
        confidence: [h, w] weights.
        grid_to_image: [3, 3] affine from model grid to the image's pixels; None when the grids are the same.
        stamp_ns: stamp of the image.
        config: limits.
        source: DEPTH of a depth image, RIG of two cameras of one time.
    """
    limits = config or SampleConfig()
    measured = sample_at_grid(np.asarray(depth_m, np.float32), depth_units.shape, grid_to_image)
    ratio, spread, pixels = depth_ratio(measured, depth_units, confidence, limits.min_depth_pixels)
    if math.isnan(ratio):
        return SampleResult(None, "few_pixels")
    if spread > limits.max_depth_spread:
        return SampleResult(None, "depth_spread")
    weight = min(MAX_WEIGHT, pixels / limits.min_depth_pixels)
    return SampleResult(ScaleSample(ratio, source, weight, stamp_ns))


def sample_at_grid(
    image: NDArray[np.float32], grid: tuple[int, ...], grid_to_image: NDArray[Any] | None
) -> NDArray[np.float32]:
    """Return the nearest pixel of an image [H, W] for every pixel of the model grid [h, w], NaN outside."""
    if grid_to_image is None:
        if image.shape != tuple(grid):
            message = f"The depth image is {image.shape}, the model grid {tuple(grid)}."
            raise InputError(message, "Pass grid_to_image.")
        return image
    v, u = np.mgrid[: grid[0], : grid[1]].astype(np.float64)
    A = np.asarray(grid_to_image, np.float64)
    x = np.rint(A[0, 0] * u + A[0, 1] * v + A[0, 2]).astype(np.int64)
    y = np.rint(A[1, 0] * u + A[1, 1] * v + A[1, 2]).astype(np.int64)
    inside = (x >= 0) & (y >= 0) & (x < image.shape[1]) & (y < image.shape[0])
    out = np.full(grid, np.nan, dtype=np.float32)
    out[inside] = image[y[inside], x[inside]]
    return out
