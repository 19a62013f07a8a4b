"""Accept or reject the pose of a pair, with a reason."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.geometry.se3 import direction_angle, rotation_angle

Pose = NDArray[np.float64]
MIN_RIG_BASELINE_M = 0.01  # extrinsics are calibrated: their direction holds for any real distance


class GateReason(StrEnum):
    """Why a pose is rejected (PairPose.reason); ACCEPTED is the empty string."""

    ACCEPTED = ""
    NO_POSE = "no_pose"
    NOT_FINITE = "not_finite"
    LOW_VALIDITY = "low_validity"
    FEW_INLIERS = "few_inliers"
    ODOMETRY_ROTATION = "odometry_rotation"
    ODOMETRY_DIRECTION = "odometry_direction"
    RIG_ROTATION = "rig_rotation"
    RIG_DIRECTION = "rig_direction"
    TWO_VIEW_ROTATION = "two_view_rotation"
    TWO_VIEW_DIRECTION = "two_view_direction"


@dataclass(frozen=True)
class PoseGateConfig:
    """Limits of the gate.

    Attributes:
        min_validity: smallest Prediction.validity.
        min_inliers: smallest number of inliers, where the backend reports them.
        max_rotation_error_deg: largest disagreement of rotation with odometry or a rig's extrinsics.
        max_direction_error_deg: largest disagreement of the direction of motion with them.
        min_baseline_m: odometry below it has no direction to compare with.
        max_two_view_error_deg: largest disagreement of rotation with the feature-based two-view check.
        max_two_view_direction_error_deg: largest disagreement of the direction of motion with it.
        min_two_view_inliers: the check counts only with this many inliers.
        min_two_view_parallax_deg: with less parallax its direction is noise (none at all for a pure rotation).
    """

    min_validity: float = 0.2
    min_inliers: int = 30
    max_rotation_error_deg: float = 8.0
    max_direction_error_deg: float = 60.0
    min_baseline_m: float = 0.05
    max_two_view_error_deg: float = 12.0
    max_two_view_direction_error_deg: float = 60.0
    min_two_view_inliers: int = 60
    min_two_view_parallax_deg: float = 1.0


@dataclass(frozen=True)
class TwoViewCheck:
    """Outcome of a feature-based two-view estimate.

    Attributes:
        R_older_newer: [3, 3] rotation.
        inliers: matches behind it.
        direction: [3] from the older to the newer camera, in the older one's frame; None where it is not known.
        parallax_deg: median angle between the rays of the matches, rotation removed.
    """

    R_older_newer: NDArray[np.float64]
    inliers: int
    direction: NDArray[np.float64] | None = None
    parallax_deg: float = 0.0


@dataclass(frozen=True)
class GateVerdict:
    """Decision on one pair.

    Attributes:
        accepted: whether the pose may be published and chained.
        reason: GateReason, empty when accepted.
        rotation_error_deg, direction_error_deg: against odometry or the rig's extrinsics; NaN where not compared.
        two_view_error_deg, two_view_direction_error_deg: against the two-view check; NaN where not compared.
    """

    accepted: bool
    reason: GateReason
    rotation_error_deg: float
    direction_error_deg: float
    two_view_error_deg: float
    two_view_direction_error_deg: float = math.nan


def check_pair_pose(
    T_older_newer: NDArray[np.floating],
    pose_valid: bool,
    validity: float,
    inliers: float | None = None,
    T_older_newer_odometry: Pose | None = None,
    two_view: TwoViewCheck | None = None,
    config: PoseGateConfig | None = None,
    T_older_newer_rig: Pose | None = None,
) -> GateVerdict:
    """Judge the pose of a pair.

    Args:
        T_older_newer: [4, 4] by the backend (Prediction.poses of the newer view), any unit.
        pose_valid: Prediction.pose_valid of the newer view.
        validity: Prediction.validity.
        inliers: Prediction.stats.get("inliers"), None when the backend has none.
        T_older_newer_odometry: [4, 4] of the same optical frames by odometry in metres, None without.
        two_view: an independent estimate from features, None without.
        config: limits.
        T_older_newer_rig: [4, 4] of two cameras of one time by their extrinsics in metres; it replaces odometry.
    """
    limits = config or PoseGateConfig()
    T = np.asarray(T_older_newer, dtype=np.float64)
    if not np.isfinite(T).all():
        reason = GateReason.NOT_FINITE if pose_valid else GateReason.NO_POSE
        return GateVerdict(False, reason, math.nan, math.nan, math.nan)
    rotation_error = direction_error = two_view_error = two_view_direction = math.nan
    rig = T_older_newer_rig is not None
    known = T_older_newer_rig if rig else T_older_newer_odometry
    if known is not None:
        rotation_error = rotation_angle_deg(T[:3, :3], known[:3, :3])
        if float(np.linalg.norm(known[:3, 3])) >= (MIN_RIG_BASELINE_M if rig else limits.min_baseline_m):
            direction_error = direction_angle_deg(T[:3, 3], known[:3, 3])
    turned = GateReason.RIG_ROTATION if rig else GateReason.ODOMETRY_ROTATION
    moved = GateReason.RIG_DIRECTION if rig else GateReason.ODOMETRY_DIRECTION
    if two_view is not None and two_view.inliers >= limits.min_two_view_inliers:
        two_view_error = rotation_angle_deg(T[:3, :3], two_view.R_older_newer)
        if two_view.direction is not None and two_view.parallax_deg >= limits.min_two_view_parallax_deg:
            two_view_direction = direction_angle_deg(T[:3, 3], two_view.direction)
    tests = (
        (not pose_valid, GateReason.NO_POSE),
        (not validity >= limits.min_validity, GateReason.LOW_VALIDITY),
        (inliers is not None and not inliers >= limits.min_inliers, GateReason.FEW_INLIERS),
        (rotation_error > limits.max_rotation_error_deg, turned),
        (direction_error > limits.max_direction_error_deg, moved),
        (two_view_error > limits.max_two_view_error_deg, GateReason.TWO_VIEW_ROTATION),
        (two_view_direction > limits.max_two_view_direction_error_deg, GateReason.TWO_VIEW_DIRECTION),
    )
    reason = next((why for failed, why in tests if failed), GateReason.ACCEPTED)
    accepted = reason is GateReason.ACCEPTED
    return GateVerdict(accepted, reason, rotation_error, direction_error, two_view_error, two_view_direction)


def rotation_angle_deg(A: NDArray[np.floating], B: NDArray[np.floating]) -> float:
    """Return the angle of A^T B for rotations [3, 3], degrees."""
    return math.degrees(float(rotation_angle(*_tensors(A, B))))


def direction_angle_deg(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """Return the angle between two vectors [3], degrees; NaN when one is zero."""
    return math.degrees(float(direction_angle(*_tensors(a, b))))


def _tensors(*arrays: NDArray[np.floating]) -> tuple[torch.Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(array, np.float64)) for array in arrays)
