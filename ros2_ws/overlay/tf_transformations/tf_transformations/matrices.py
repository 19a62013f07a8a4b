"""4x4 rigid transforms."""

from functools import reduce

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation


def identity_matrix() -> np.ndarray:
    """Return the 4x4 identity."""
    return np.identity(4)


def translation_matrix(direction: ArrayLike) -> np.ndarray:
    """Return the matrix that moves by `direction` [3]."""
    matrix = np.identity(4)
    matrix[:3, 3] = np.asarray(direction, dtype=np.float64)[:3]
    return matrix


def translation_from_matrix(matrix: ArrayLike) -> np.ndarray:
    """Return the translation [3] of a 4x4 matrix."""
    return np.array(matrix, dtype=np.float64)[:3, 3].copy()


def rotation_matrix(angle: float, direction: ArrayLike, point: ArrayLike | None = None) -> np.ndarray:
    """Return the rotation by `angle` about the axis `direction` [3] through `point` [3] (the origin)."""
    matrix = np.identity(4)
    matrix[:3, :3] = Rotation.from_rotvec(angle * unit_vector(np.asarray(direction)[:3])).as_matrix()
    if point is not None:
        pivot = np.asarray(point, dtype=np.float64)[:3]
        matrix[:3, 3] = pivot - matrix[:3, :3] @ pivot
    return matrix


def inverse_matrix(matrix: ArrayLike) -> np.ndarray:
    """Return the inverse of a square matrix."""
    return np.linalg.inv(np.asarray(matrix, dtype=np.float64))


def concatenate_matrices(*matrices: ArrayLike) -> np.ndarray:
    """Return the product of 4x4 matrices, the rightmost applied first."""
    return reduce(np.matmul, (np.asarray(m, dtype=np.float64) for m in matrices), np.identity(4))


def vector_norm(data: ArrayLike, axis: int | None = None) -> np.ndarray | float:
    """Return the Euclidean length of a vector, or of those along `axis`."""
    values = np.asarray(data, dtype=np.float64)
    return float(np.linalg.norm(values)) if axis is None else np.linalg.norm(values, axis=axis)


def unit_vector(data: ArrayLike, axis: int | None = None) -> np.ndarray:
    """Return a vector, or those along `axis`, scaled to length 1."""
    values = np.asarray(data, dtype=np.float64)
    return values / np.linalg.norm(values, axis=axis, keepdims=axis is not None)
