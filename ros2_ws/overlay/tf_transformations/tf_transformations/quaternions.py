"""Quaternions in the order x, y, z, w, as ROS messages have them."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

# Below this angle, in radians, two rotations are taken for one.
_SAME_ANGLE = 1e-12


def quaternion_matrix(quaternion: ArrayLike) -> np.ndarray:
    """Return the 4x4 rotation of a quaternion [4] of any length above 0; identity for length 0."""
    matrix = np.identity(4)
    values = np.asarray(quaternion, dtype=np.float64)
    if np.linalg.norm(values) > np.finfo(np.float64).eps:
        matrix[:3, :3] = Rotation.from_quat(values).as_matrix()
    return matrix


def quaternion_from_matrix(matrix: ArrayLike) -> np.ndarray:
    """Return the unit quaternion [4], w >= 0, of the rotation in a 3x3 or 4x4 matrix."""
    rotation = np.asarray(matrix, dtype=np.float64)[:3, :3]
    return Rotation.from_matrix(rotation).as_quat(canonical=True)


def quaternion_multiply(quaternion1: ArrayLike, quaternion0: ArrayLike) -> np.ndarray:
    """Return the Hamilton product [4]: rotates by `quaternion0` first, then by `quaternion1`."""
    x1, y1, z1, w1 = np.asarray(quaternion1, dtype=np.float64)
    x0, y0, z0, w0 = np.asarray(quaternion0, dtype=np.float64)
    return np.array(
        [
            w1 * x0 + x1 * w0 + y1 * z0 - z1 * y0,
            w1 * y0 - x1 * z0 + y1 * w0 + z1 * x0,
            w1 * z0 + x1 * y0 - y1 * x0 + z1 * w0,
            w1 * w0 - x1 * x0 - y1 * y0 - z1 * z0,
        ]
    )


def quaternion_conjugate(quaternion: ArrayLike) -> np.ndarray:
    """Return the quaternion with its axis turned round."""
    return np.asarray(quaternion, dtype=np.float64) * np.array([-1.0, -1.0, -1.0, 1.0])


def quaternion_inverse(quaternion: ArrayLike) -> np.ndarray:
    """Return the multiplicative inverse of a quaternion of any length above 0."""
    values = np.asarray(quaternion, dtype=np.float64)
    return quaternion_conjugate(values) / np.dot(values, values)


def quaternion_about_axis(angle: float, axis: ArrayLike) -> np.ndarray:
    """Return the rotation by `angle` radians about `axis` [3], which need not have length 1."""
    direction = np.asarray(axis, dtype=np.float64)
    direction = direction / np.linalg.norm(direction)
    return np.append(np.sin(angle / 2.0) * direction, np.cos(angle / 2.0))


def quaternion_slerp(
    quat0: ArrayLike, quat1: ArrayLike, fraction: float, spin: int = 0, shortestpath: bool = True
) -> np.ndarray:
    """Interpolate between two rotations at a constant rate.

    Args:
        quat0: Rotation at fraction 0, [4].
        quat1: Rotation at fraction 1, [4].
        fraction: 0 to 1.
        spin: Additional half turns on the way.
        shortestpath: Go the short way round.
    """
    start = np.asarray(quat0, dtype=np.float64) / np.linalg.norm(quat0)
    end = np.asarray(quat1, dtype=np.float64) / np.linalg.norm(quat1)
    if fraction == 0.0:
        return start
    if fraction == 1.0:
        return end
    cosine = float(np.dot(start, end))
    if shortestpath and cosine < 0.0:
        cosine, end = -cosine, -end
    angle = np.arccos(np.clip(cosine, -1.0, 1.0)) + spin * np.pi
    if abs(angle) < _SAME_ANGLE or abs(np.sin(angle)) < _SAME_ANGLE:
        return start
    return (np.sin((1.0 - fraction) * angle) * start + np.sin(fraction * angle) * end) / np.sin(angle)


def random_quaternion(rand: ArrayLike | None = None) -> np.ndarray:
    """Return a uniformly distributed unit quaternion [4] from three numbers [3] in 0 to 1."""
    u1, u2, u3 = np.random.default_rng().random(3) if rand is None else np.asarray(rand, dtype=np.float64)
    r1, r2 = np.sqrt(1.0 - u1), np.sqrt(u1)
    a1, a2 = 2.0 * np.pi * u2, 2.0 * np.pi * u3
    return np.array([np.sin(a1) * r1, np.cos(a1) * r1, np.sin(a2) * r2, np.cos(a2) * r2])
