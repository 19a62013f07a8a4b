"""Measurements of metres per unit from odometry, a depth image, a rig, or a known camera height."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping.scale import ScaleSample, ScaleSource

Pose = NDArray[np.float64]


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
    raise NotImplementedError


def sample_from_depth(
    depth_m: NDArray[Any],
    depth_units: NDArray[np.float32],
    confidence: NDArray[np.float32],
    grid_to_image: NDArray[Any] | None = None,
    stamp_ns: int = 0,
    config: SampleConfig | None = None,
) -> SampleResult:
    """Compare a depth image with the predicted depth of the same view.

    Args:
        depth_m: [H, W] metres, registered to the image; not finite or <= 0 where there is none.
        depth_units: [h, w] predicted z-depth on the model grid, segment units.
        confidence: [h, w] weights.
        grid_to_image: [3, 3] affine from model grid to the image's pixels; None when the grids are the same.
        stamp_ns: stamp of the image.
        config: limits.
    """
    raise NotImplementedError


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
    raise NotImplementedError
