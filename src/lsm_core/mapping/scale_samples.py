"""Measurements of metres per unit from odometry, a depth image, a rig, or a known camera height."""

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
MIN_FLOOR_POINTS = 200
MAX_FLOOR_POINTS = 3000
FLOOR_HYPOTHESES = 300


@dataclass(frozen=True)
class SampleConfig:
    """When a measurement is refused.

    Attributes:
        min_baseline_m: shortest baseline, metres, that odometry or a rig may give scale from.
        max_rotation_error_deg: largest disagreement of rotation between the pair and odometry.
        max_direction_error_deg: largest disagreement of the direction of motion.
        min_depth_pixels: pixels valid in both the depth image and the prediction.
        max_depth_spread: largest robust spread of the log ratio of depths.
        min_floor_share: share of the confident points that must lie on the floor plane.
        max_floor_tilt_deg: largest angle between the fitted plane's normal and the given up direction.
    """

    min_baseline_m: float = 0.05
    max_rotation_error_deg: float = 10.0
    max_direction_error_deg: float = 45.0
    min_depth_pixels: int = 200
    max_depth_spread: float = 0.4
    min_floor_share: float = 0.08
    max_floor_tilt_deg: float = 10.0


@dataclass(frozen=True)
class SampleResult:
    """A measurement, or why there is none ("short_baseline", "no_motion", "rotation", "direction", "few_pixels",
    "depth_spread", "no_floor", "not_finite")."""

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


def sample_from_camera_height(
    points_cam: NDArray[np.float32],
    confidence: NDArray[np.float32],
    up_cam: NDArray[Any],
    height_m: float,
    stamp_ns: int = 0,
    config: SampleConfig | None = None,
    seed: int = 0,
) -> SampleResult:
    """Fit the floor below the camera and compare its distance with the known height.

    Args:
        points_cam: [N, 3] points in the camera's optical frame, segment units.
        confidence: [N] weights; the less confident half is not used.
        up_cam: [3] direction away from the floor in the optical frame, (0, -1, 0) for a level camera.
        height_m: height of the camera's centre above the floor, metres.
        stamp_ns: stamp of the image.
        config: limits.
        seed: of the random plane hypotheses.
    """
    limits = config or SampleConfig()
    if not (math.isfinite(height_m) and height_m > 0 and np.isfinite(up_cam).all() and np.linalg.norm(up_cam) > 0):
        return SampleResult(None, "not_finite")
    points = np.asarray(points_cam, np.float64).reshape(-1, 3)
    weights = np.asarray(confidence, np.float64).reshape(-1)
    sure = np.isfinite(points).all(1) & np.isfinite(weights)
    points, weights = points[sure], weights[sure]
    if len(points) < MIN_FLOOR_POINTS:
        return SampleResult(None, "no_floor")
    points = points[weights >= np.median(weights)]
    distance = floor_distance(points, np.asarray(up_cam, np.float64), limits, np.random.default_rng(seed))
    if distance is None:
        return SampleResult(None, "no_floor")
    return SampleResult(ScaleSample(height_m / distance, ScaleSource.CAMERA_HEIGHT, 1.0, stamp_ns))


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


def floor_distance(
    points: NDArray[np.float64], up: NDArray[np.float64], limits: SampleConfig, rng: np.random.Generator
) -> float | None:
    """Return the distance of the camera's centre from the floor, None when no plane qualifies.

    Random planes through three points whose normal is near `up`; the winner has the most points within 2 % of its
    distance and next to nothing below it (so that a table is not taken for the floor). Then a least-squares fit.

    Args:
        points: [N, 3] in the optical frame.
        up: [3] away from the floor.
        limits: tilt and share.
        rng: of the hypotheses.
    """
    up = up / np.linalg.norm(up)
    some = points[rng.permutation(len(points))[:MAX_FLOOR_POINTS]]
    triples = some[rng.integers(0, len(some), (FLOOR_HYPOTHESES, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    length = np.linalg.norm(normals, axis=1)
    normals = normals[length > 0] / length[length > 0, None]
    normals *= np.where(normals @ up < 0, -1.0, 1.0)[:, None]
    distances = -np.einsum("ij,ij->i", normals, triples[length > 0, 0])
    level = (normals @ up > math.cos(math.radians(limits.max_floor_tilt_deg))) & (distances > 0)
    if not level.any():
        return None
    normals, distances = normals[level], distances[level]
    below = -(some @ normals.T) / distances  # [N, M]: 1 on the plane, more beneath it
    on_plane = np.abs(below - 1) < 0.02
    votes = np.where((below > 1.05).mean(0) < 0.03, on_plane.mean(0), 0.0)
    best = int(votes.argmax())
    if votes[best] < limits.min_floor_share:
        return None
    floor = some[on_plane[:, best]]
    centre = floor.mean(0)
    normal = np.linalg.svd(floor - centre, full_matrices=False)[2][2]
    return abs(float(normal @ centre))
