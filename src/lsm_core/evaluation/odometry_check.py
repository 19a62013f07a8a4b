"""Accepted pairs against the odometry of the same recording: angles, and how evenly they come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.evaluation.pose_metrics import PoseError, pose_error
from lsm_core.io.trajectories import Trajectory
from lsm_core.types import Sim3

MIN_BASELINE_M = 0.05  # below it odometry has no direction to compare with


@dataclass(frozen=True)
class TimedPair:
    """The relative pose of two images of one camera.

    Attributes:
        older_ns, newer_ns: image stamps.
        T_older_newer: [4, 4] float64, newer optical frame to older one, any unit.
    """

    older_ns: int
    newer_ns: int
    T_older_newer: NDArray[np.float64]


@dataclass(frozen=True)
class OdometryCheck:
    """Summary over pairs; NaN where there is nothing to average.

    Attributes:
        compared: pairs with odometry at both stamps.
        with_direction: those of them that moved far enough for a direction.
        rotation_median_deg, rotation_mean_deg, rotation_p90_deg: geodesic angle of the rotations.
        direction_median_deg, direction_mean_deg: angle between the translations.
    """

    compared: int
    with_direction: int
    rotation_median_deg: float
    rotation_mean_deg: float
    rotation_p90_deg: float
    direction_median_deg: float
    direction_mean_deg: float


def pair_error(pair: TimedPair, truth: Trajectory) -> tuple[PoseError, float] | None:
    """Return the error of a pair and the true baseline in metres; None without odometry at both stamps.

    Args:
        pair: of the optical frames.
        truth: T_odom_optical over time, metres.
    """
    older, newer = truth.at(pair.older_ns), truth.at(pair.newer_ns)
    if older is None or newer is None:
        return None
    T_true = np.linalg.inv(older) @ newer
    error = pose_error(torch.from_numpy(T_true), torch.from_numpy(np.asarray(pair.T_older_newer, np.float64)))
    return error, float(np.linalg.norm(T_true[:3, 3]))


def compare_with_odometry(pairs: Sequence[TimedPair], truth: Trajectory) -> OdometryCheck:
    """Compare pairs with the true camera trajectory; see `pair_error`."""
    found = [result for pair in pairs if (result := pair_error(pair, truth)) is not None]
    rotations = [error.rotation_deg for error, _ in found]
    moved = (error.direction_deg for error, baseline_m in found if baseline_m >= MIN_BASELINE_M)
    directions = [angle for angle in moved if not math.isnan(angle)]

    def summary(function: object, values: list[float]) -> float:
        return float(function(values)) if values else math.nan  # type: ignore[operator]

    return OdometryCheck(
        compared=len(rotations),
        with_direction=len(directions),
        rotation_median_deg=summary(np.median, rotations),
        rotation_mean_deg=summary(np.mean, rotations),
        rotation_p90_deg=summary(lambda values: np.percentile(values, 90), rotations),
        direction_median_deg=summary(np.median, directions),
        direction_mean_deg=summary(np.mean, directions),
    )


def accepted_per_window(accepted_ns: Sequence[int], start_ns: int, end_ns: int, window_s: float = 2.0) -> list[int]:
    """Count events per window of time; a last window shorter than half of one joins the one before.

    Args:
        accepted_ns: stamps of the events (the newer image of each accepted pair).
        start_ns, end_ns: the time covered, both ends included.
        window_s: length of a window, seconds.
    """
    count = max(1, round((end_ns - start_ns) / 1e9 / window_s))
    bins = [0] * count
    for stamp in accepted_ns:
        if start_ns <= stamp <= end_ns:
            bins[min(int((stamp - start_ns) / 1e9 / window_s), count - 1)] += 1
    return bins


def align_to_truth(path: Trajectory, truth: Trajectory) -> Sim3 | None:
    """Find the similarity that brings an estimated path into the true frame and unit.

    The rotation is the mean of the rotations between the true and the estimated orientations, so that a straight
    path is no problem; scale and translation then follow by least squares on the positions.

    Args:
        path: T_map_optical in any unit.
        truth: T_odom_optical, metres.

    Returns:
        Map to odom, or None with fewer than 2 poses in common or without motion.
    """
    both = [
        (p, t) for s, p in zip(path.stamps_ns.tolist(), path.poses, strict=True) if (t := truth.at(s)) is not None
    ]
    if len(both) < 2:
        return None
    estimated, true = (np.stack(side) for side in zip(*both, strict=True))
    u, _, vt = np.linalg.svd(np.einsum("nij,nkj->ik", true[:, :3, :3], estimated[:, :3, :3]))
    R = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    source, target = estimated[:, :3, 3] @ R.T, true[:, :3, 3]
    centred = source - source.mean(0)
    power = float(np.sum(centred**2))
    if power < 1e-12:
        return None
    scale = max(float(np.sum(centred * (target - target.mean(0)))) / power, 1e-9)
    translation = target.mean(0) - scale * source.mean(0)
    return Sim3(scale, torch.from_numpy(R.copy()), torch.from_numpy(translation))


def align_path(path: Trajectory, truth: Trajectory) -> NDArray[np.float64] | None:
    """Return the positions [N, 3] of a path moved by `align_to_truth`, metres, or None."""
    sim3 = align_to_truth(path, truth)
    if sim3 is None:
        return None
    M = sim3.matrix.numpy()
    moved: NDArray[np.float64] = path.poses[:, :3, 3] @ M[:3, :3].T + M[:3, 3]
    return moved
