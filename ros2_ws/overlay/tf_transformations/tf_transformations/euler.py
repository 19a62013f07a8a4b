"""Euler angles. `axes` is "s" (static axes) or "r" (rotating axes) and three of x, y, z: "sxyz"."""

import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from tf_transformations.quaternions import (
    quaternion_about_axis,
    quaternion_matrix,
    quaternion_multiply,
)

_AXES = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}


def quaternion_from_euler(ai: float, aj: float, ak: float, axes: str = "sxyz") -> np.ndarray:
    """Return the quaternion [4] xyzw of three angles in radians, taken in the order of `axes`."""
    frame, sequence = _split(axes)
    result = np.array([0.0, 0.0, 0.0, 1.0])
    for angle, axis in zip((ai, aj, ak), sequence, strict=True):
        step = quaternion_about_axis(angle, _AXES[axis])
        # Static axes: each further rotation comes on the left; rotating axes: on the right.
        result = quaternion_multiply(step, result) if frame == "s" else quaternion_multiply(result, step)
    return result


def euler_matrix(ai: float, aj: float, ak: float, axes: str = "sxyz") -> np.ndarray:
    """Return the 4x4 rotation of three angles in radians, taken in the order of `axes`."""
    return quaternion_matrix(quaternion_from_euler(ai, aj, ak, axes))


def euler_from_matrix(matrix: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """Return the angles, in radians, of a 3x3 or 4x4 matrix; at gimbal lock one of them is 0."""
    frame, sequence = _split(axes)
    rotation = Rotation.from_matrix(np.asarray(matrix, dtype=np.float64)[:3, :3])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Gimbal lock", category=UserWarning)
        angles = rotation.as_euler(sequence if frame == "s" else sequence.upper())
    return float(angles[0]), float(angles[1]), float(angles[2])


def euler_from_quaternion(quaternion: ArrayLike, axes: str = "sxyz") -> tuple[float, float, float]:
    """Return the angles, in radians, of a quaternion [4] xyzw."""
    return euler_from_matrix(quaternion_matrix(quaternion), axes)


def _split(axes: str) -> tuple[str, str]:
    """Split "sxyz" into "s" and "xyz"."""
    frame, sequence = axes[:1].lower(), axes[1:].lower()
    if frame not in ("s", "r") or len(sequence) != 3 or any(axis not in _AXES for axis in sequence):
        raise ValueError(f"axes must be 's' or 'r' and three of x, y, z (such as 'sxyz'), not {axes!r}")
    return frame, sequence
