"""The compiled twin of `lsm_core.sh.sh_basis`: the colour of one Gaussian along one direction."""

from __future__ import annotations

import math

import numba
import numpy as np

from lsm_core.render.cpu_records import Float32, FloatArray
from lsm_core.sh import C0, C1

_C0, _C1, _HALF, _ZERO = np.float32(C0), np.float32(C1), np.float32(0.5), np.float32(0.0)
_A = np.float32(0.5 * math.sqrt(15.0 / math.pi))
_B = np.float32(0.25 * math.sqrt(5.0 / math.pi))
_C = np.float32(0.25 * math.sqrt(35.0 / (2.0 * math.pi)))
_D = np.float32(0.5 * math.sqrt(105.0 / math.pi))
_E = np.float32(0.25 * math.sqrt(21.0 / (2.0 * math.pi)))
_F = np.float32(0.25 * math.sqrt(7.0 / math.pi))
_TWO, _THREE, _FOUR = np.float32(2.0), np.float32(3.0), np.float32(4.0)
_TINY = np.float32(1e-12)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sh_color(  # pragma: no cover (compiled)
    dx: Float32, dy: Float32, dz: Float32, sh: FloatArray, i: int
) -> tuple[Float32, Float32, Float32]:
    """Return rgb >= 0 of Gaussian i along (dx, dy, dz), of any length; sh is [N, K, 3]."""
    coefficients = sh.shape[1]
    r, g, b = _C0 * sh[i, 0, 0], _C0 * sh[i, 0, 1], _C0 * sh[i, 0, 2]
    if coefficients > 1:
        norm = max(math.sqrt(dx * dx + dy * dy + dz * dz), _TINY)
        x, y, z = dx / norm, dy / norm, dz / norm
        for k in range(1, coefficients):
            value = _basis(k, x, y, z)
            r += value * sh[i, k, 0]
            g += value * sh[i, k, 1]
            b += value * sh[i, k, 2]
    return max(r + _HALF, _ZERO), max(g + _HALF, _ZERO), max(b + _HALF, _ZERO)


@numba.njit(cache=True, nogil=True)
def _basis(k: int, x: Float32, y: Float32, z: Float32) -> Float32:  # pragma: no cover (compiled)
    """Return basis function k (1 to 15) of a unit vector."""
    xx, yy, zz = x * x, y * y, z * z
    if k == 1:
        return -_C1 * y
    if k == 2:
        return _C1 * z
    if k == 3:
        return -_C1 * x
    if k == 4:
        return _A * x * y
    if k == 5:
        return -_A * y * z
    if k == 6:
        return _B * (_TWO * zz - xx - yy)
    if k == 7:
        return -_A * x * z
    if k == 8:
        return _HALF * _A * (xx - yy)
    if k == 9:
        return -_C * y * (_THREE * xx - yy)
    if k == 10:
        return _D * x * y * z
    if k == 11:
        return -_E * y * (_FOUR * zz - xx - yy)
    if k == 12:
        return _F * z * (_TWO * zz - _THREE * xx - _THREE * yy)
    if k == 13:
        return -_E * x * (_FOUR * zz - xx - yy)
    if k == 14:
        return _HALF * _D * z * (xx - yy)
    return -_C * x * (xx - _THREE * yy)
