"""Smooth camera paths through key poses, for videos."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import splev, splprep

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


def moved_back(poses: Poses, distance: float) -> Poses:
    """Return poses [.., 4, 4] or [.., 3, 4] moved against their viewing direction."""
    out = np.array(poses)
    out[..., :3, 3] -= distance * out[..., :3, 2]
    return out


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return vectors of length one."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float64)
