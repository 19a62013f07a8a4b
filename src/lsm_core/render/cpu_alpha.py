"""Alpha of one Gaussian along one row of a tile, in 16 lanes at once."""

from __future__ import annotations

from typing import Final

import numba
import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from lsm_core.render.base import ALPHA_MAX, ALPHA_MIN
from lsm_core.render.cpu_records import Float32

# exp(-t / 2) for 0 <= t <= LIMIT as the 8th power of a polynomial in t: vector arithmetic only, no table.
# Where t is above LIMIT even opacity 1 is below 1/255: exp(-6) = 0.0025.
LIMIT: Final = 12.0
_FIT = Chebyshev.interpolate(lambda t: np.exp(-t / 16), 6, domain=[0, LIMIT]).convert(kind=Polynomial).coef
E0, E1, E2, E3, E4, E5, E6 = (np.float32(c) for c in _FIT)
_LIMIT, ONE, ZERO = np.float32(LIMIT), np.float32(1.0), np.float32(0.0)
MOST, CUT = np.float32(ALPHA_MAX), np.float32(ALPHA_MIN)


@numba.njit(cache=True, nogil=True, fastmath={"contract", "nsz"}, inline="always")
def half_exp(t: Float32) -> Float32:  # pragma: no cover (compiled)
    """Return exp(-t / 2), t >= 0, to 2e-6 relative where it is above 1/255."""
    s = min(t, _LIMIT)
    e = E0 + s * (E1 + s * (E2 + s * (E3 + s * (E4 + s * (E5 + s * E6)))))
    e *= e
    e *= e
    return e * e
