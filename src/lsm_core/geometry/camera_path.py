"""Smooth camera paths through key poses, for videos."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator, splev, splprep
from scipy.spatial.transform import Rotation, RotationSpline

Poses = NDArray[np.floating]
REACH = 0.1  # distance of the look-at and up points from the camera
MAX_DEGREE = 5
SMOOTHING = 0.03


def interpolated_path(poses: Poses, count: int, smoothing: float = SMOOTHING) -> NDArray[np.float64]:
    """Return poses along a spline through key poses.

    The spline runs through three points per pose: its position, one in front and one below. It starts at the first
    key pose; the last one is the end that is not included.

    Args:
        poses: [K >= 2, 4, 4] T_world_cam, OpenCV axes.
        count: poses wanted.
        smoothing: of the spline; 0 passes through every key pose.

    Returns:
        [count, 3, 4] T_world_cam.
    """
    keys = np.asarray(poses, np.float64)
    position = keys[:, :3, 3]
    marks = np.concatenate([position, position + REACH * keys[:, :3, 2], position + REACH * keys[:, :3, 1]], 1)
    spline, _ = splprep(marks.T, k=min(MAX_DEGREE, len(keys) - 1), s=smoothing)
    values = np.stack(splev(np.arange(count) / count, spline), -1)
    position, ahead, below = values[:, :3], values[:, 3:6], values[:, 6:]
    z = unit(ahead - position)
    x = unit(np.cross(below - position, z))
    return np.stack([x, np.cross(z, x), z, position], -1)


def spline_path(poses: Poses, shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return poses on a smooth path through all key poses.

    The position follows a monotone cubic (Fritsch and Carlson 1980), which never leaves the box between two
    neighbouring keys, so it cannot swing out into a wall; the rotation a cubic spline of rotations.

    Args:
        poses: [K >= 1, 4, 4] T_world_cam.
        shares: [N] places along the way, 0 at the first key and 1 at the last; keys lie as far apart in it as they
            are in position and angle (one radian counts as the path's median step).

    Returns:
        [N, 4, 4] float64.
    """
    keys = np.asarray(poses, np.float64)
    out = np.tile(np.eye(4), (len(shares), 1, 1))
    turn = (
        Rotation.from_matrix(keys[:-1, :3, :3]).inv() * Rotation.from_matrix(keys[1:, :3, :3])
        if len(keys) > 1
        else None
    )
    if turn is None:
        out[:] = keys[0]
        return out
    steps, angles = np.linalg.norm(np.diff(keys[:, :3, 3], axis=0), axis=1), turn.magnitude()
    lengths = np.maximum(steps + angles * (np.median(steps) or 1.0), 1e-9)
    places = np.concatenate([[0.0], np.cumsum(lengths)]) / lengths.sum()
    out[:, :3, 3] = PchipInterpolator(places, keys[:, :3, 3])(shares)
    out[:, :3, :3] = RotationSpline(places, Rotation.from_matrix(keys[:, :3, :3]))(shares).as_matrix()
    return out


def moved_back(poses: Poses, distance: float) -> Poses:
    """Return poses [.., 4, 4] or [.., 3, 4] moved against their viewing direction."""
    out = np.array(poses)
    out[..., :3, 3] -= distance * out[..., :3, 2]
    return out


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors of length one."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float64)
