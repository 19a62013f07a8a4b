"""Metres per unit from the known height of the camera above the floor it sees."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping.scale import ScaleSample, ScaleSource
from lsm_core.mapping.scale_samples import SampleConfig, SampleResult

MIN_FLOOR_POINTS = 200
MAX_FLOOR_POINTS = 3000
FLOOR_HYPOTHESES = 300


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
