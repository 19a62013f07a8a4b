"""The compiled blending of one row of tiles: front to back, 16 pixels at once, ending early.

Everything a tile keeps per pixel is in one array, so that the compiler sees that nothing overlaps. Features are not
added one Gaussian at a time: weights are noted per pixel, and every BATCH Gaussians each pixel adds up its share,
four feature vectors per pass over its sums.
"""

from __future__ import annotations

import math
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from lsm_core.render.base import MEDIAN_TRANSMITTANCE, TRANSMITTANCE_MIN
from lsm_core.render.cpu_alpha import CUT, MOST, ONE, ZERO, half_exp
from lsm_core.render.cpu_binning import bin_columns
from lsm_core.render.cpu_records import (
    BLUE,
    BOTTOM,
    DEPTH,
    GREEN,
    LEFT,
    OPACITY,
    RED,
    RIGHT,
    TILE,
    TOP,
    WXX,
    WXY,
    WYY,
    FloatArray,
    IntArray,
    U,
    V,
)

FLOOR, MEDIAN = np.float32(TRANSMITTANCE_MIN), np.float32(MEDIAN_TRANSMITTANCE)
BATCH: Final = 128  # Gaussians between two sums of features, and between two looks at whether a tile is done
NOTES: Final = (
    BATCH + 8
)  # room per pixel; not a power of two, which would put all pixels' notes into a few cache sets

# Planes of the image: colour and depth (sums of weight times value), transmittance, median depth.
RGBZ = slice(0, 4)
TRANSMITTANCE, MEDIAN_DEPTH = 4, 5
PLANES = 6

# What a tile keeps of a pixel: the planes, then transmittance while the pixel goes on (0 after), the largest weight
# and whose it is (place in the tile's list), the present weight, and the pixel's column.
RUNNING, LARGEST, BEST, WEIGHT, LANE = range(PLANES, PLANES + 5)
STATE = PLANES + 5


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})
def blend_row(  # pragma: no cover (compiled)
    row: int,
    row_members: IntArray,
    values: FloatArray,
    source: IntArray,
    features: FloatArray,
    planes: FloatArray,
    strongest: IntArray,
    feature_image: FloatArray,
) -> None:
    """Blend one row of tiles.

    Args:
        row: of tiles.
        row_members: its records, front to back.
        values: [M, 16] records.
        source: [M] which Gaussian a record is of.
        features: [N, D] of all Gaussians; D = 0 for none.
        planes: [PLANES, H', W'] written, H' and W' multiples of the tile.
        strongest: [H', W'] written.
        feature_image: [H', W', D] zeros, written.
    """
    columns = planes.shape[2] // TILE
    starts, members = bin_columns(row_members, values, columns)
    state = np.empty((TILE, STATE, TILE), np.float32)
    noted = np.zeros((TILE, TILE), np.int32)
    who, weights = np.empty((TILE, TILE, NOTES), np.int32), np.empty((TILE, TILE, NOTES), np.float32)
    goes_on = np.empty(TILE, np.bool_)
    y0 = row * TILE
    for column in range(columns):
        x0 = column * TILE
        first, last = starts[column], starts[column + 1]
        _clear(state)
        goes_on[:] = True
        for k in range(first, last):
            if k > first and (k - first) % BATCH == 0:
                if features.shape[1]:
                    _add_features(y0, x0, noted, who, weights, features, feature_image)
                if not _any_running(state, goes_on):
                    break
            i = members[k]
            g = source[i]
            u, v = values[i, U] - np.float32(x0), values[i, V] - np.float32(y0)
            y_first = max(0, math.ceil(values[i, TOP]) - y0)
            y_last = min(TILE - 1, math.floor(values[i, BOTTOM]) - y0)
            x_first = max(0, math.ceil(values[i, LEFT]) - x0)
            x_last = min(TILE - 1, math.floor(values[i, RIGHT]) - x0)
            for y in range(y_first, y_last + 1):
                if not goes_on[y]:
                    continue
                _blend_lanes(np.float32(y) - v, u, i, np.float32(k - first), values, state, y)
                if features.shape[1]:
                    for x in range(x_first, x_last + 1):
                        # Noted without a branch, which would be guessed wrong too often; 0 is overwritten.
                        w, place = state[y, WEIGHT, x], noted[y, x]
                        who[y, x, place], weights[y, x, place] = g, w
                        noted[y, x] = place + (1 if w > ZERO else 0)
        if features.shape[1]:
            _add_features(y0, x0, noted, who, weights, features, feature_image)
        for y in range(TILE):
            for x in range(TILE):
                for plane in range(PLANES):
                    planes[plane, y0 + y, x0 + x] = state[y, plane, x]
                best = int(state[y, BEST, x])
                strongest[y0 + y, x0 + x] = source[members[first + best]] if best >= 0 else -1


@numba.njit(cache=True, nogil=True)
def _clear(state: FloatArray) -> None:  # pragma: no cover (compiled)
    """Begin a tile."""
    state[:] = ZERO
    for y in range(TILE):
        for x in range(TILE):
            state[y, TRANSMITTANCE, x] = state[y, RUNNING, x] = ONE
            state[y, BEST, x] = -ONE
            state[y, LANE, x] = x


@numba.njit(cache=True, nogil=True)
def _any_running(state: FloatArray, goes_on: NDArray[np.bool_]) -> bool:  # pragma: no cover (compiled)
    """Mark the rows of the tile in which a pixel goes on; say whether there is one."""
    found = False
    for y in range(TILE):
        most = ZERO
        for x in range(TILE):
            most = max(most, state[y, RUNNING, x])
        goes_on[y] = most > ZERO
        found |= goes_on[y]
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, inline="always")
def _blend_lanes(  # pragma: no cover (compiled)
    dy: np.float32, u: np.float32, i: int, place: np.float32, values: FloatArray, state: FloatArray, y: int
) -> None:
    """Blend record i into row y of a tile; u is its column, dy the row's distance, place its rank in the tile."""
    wxx, opacity, z = values[i, WXX], values[i, OPACITY], values[i, DEPTH]
    red, green, blue = values[i, RED], values[i, GREEN], values[i, BLUE]
    along, shift = values[i, WYY] * dy, values[i, WXY] * dy
    along *= along
    for x in range(TILE):
        across = wxx * (state[y, LANE, x] - u) + shift
        alpha = min(MOST, opacity * half_exp(across * across + along))
        alpha = alpha if alpha >= CUT else ZERO
        before = state[y, RUNNING, x]
        after = before * (ONE - alpha)
        goes_on = after >= FLOOR
        w = before * alpha if goes_on else ZERO
        state[y, RUNNING, x] = after if goes_on else ZERO
        state[y, TRANSMITTANCE, x] = after if goes_on else state[y, TRANSMITTANCE, x]
        state[y, MEDIAN_DEPTH, x] = z if before > MEDIAN and after <= MEDIAN else state[y, MEDIAN_DEPTH, x]
        state[y, 0, x] += w * red
        state[y, 1, x] += w * green
        state[y, 2, x] += w * blue
        state[y, 3, x] += w * z
        stronger = w > state[y, LARGEST, x]
        state[y, BEST, x] = place if stronger else state[y, BEST, x]
        state[y, LARGEST, x] = max(w, state[y, LARGEST, x])
        state[y, WEIGHT, x] = w


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _add_features(  # pragma: no cover (compiled)
    y0: int,
    x0: int,
    noted: IntArray,
    who: IntArray,
    weights: FloatArray,
    features: FloatArray,
    feature_image: FloatArray,
) -> None:
    """Add what the pixels of a tile noted to their features, and empty the notes."""
    channels = features.shape[1]
    for y in range(TILE):
        for x in range(TILE):
            count, k = noted[y, x], 0
            while k + 4 <= count:
                i0, i1, i2, i3 = who[y, x, k], who[y, x, k + 1], who[y, x, k + 2], who[y, x, k + 3]
                w0, w1, w2, w3 = weights[y, x, k], weights[y, x, k + 1], weights[y, x, k + 2], weights[y, x, k + 3]
                for c in range(channels):
                    feature_image[y0 + y, x0 + x, c] += (
                        w0 * features[i0, c] + w1 * features[i1, c] + w2 * features[i2, c] + w3 * features[i3, c]
                    )
                k += 4
            while k < count:
                i0, w0 = who[y, x, k], weights[y, x, k]
                for c in range(channels):
                    feature_image[y0 + y, x0 + x, c] += w0 * features[i0, c]
                k += 1
            noted[y, x] = 0
