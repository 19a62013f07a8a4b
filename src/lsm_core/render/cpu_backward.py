"""The compiled gradient of the blending, one row of tiles at a time.

It walks front to back like the forward pass. What lies behind a Gaussian is the pixel's total less what came
before, so nothing has to be stored and no transmittance is divided back. As in `cpu_blend`, one array holds all
that a tile keeps, and a row of a tile is 16 lanes.
"""

from __future__ import annotations

import math
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from lsm_core.render.cpu_alpha import CUT, MOST, ONE, ZERO, half_exp
from lsm_core.render.cpu_binning import bin_columns
from lsm_core.render.cpu_blend import FLOOR
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
    Float32,
    FloatArray,
    IntArray,
    U,
    V,
)

CHECK_EVERY: Final = 64  # Gaussians between two looks at which rows of a tile are done
COLUMNS: Final = BLUE + 1  # of a record that have a gradient

# What a tile keeps of a pixel: gradients by red, green, blue and weighted depth; what is still behind; its
# transmittance while it goes on; then of the present Gaussian its alpha before the maximum is taken (0 where it is
# not blended), the transmittance before it, its weight, what a weight there is worth to the loss, its distance;
# the pixel's column.
BEHIND, RUNNING, ALPHA, BEFORE, WEIGHT, SCORE, ACROSS, LANE = range(4, 12)
STATE: Final = 12


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def blend_row_backward(  # pragma: no cover (compiled)
    row: int,
    row_members: IntArray,
    values: FloatArray,
    source: IntArray,
    features: FloatArray,
    rgbz_gradient: FloatArray,
    feature_gradient: FloatArray,
    behind: FloatArray,
    gradient: FloatArray,
    features_gradient: FloatArray,
) -> None:
    """Add the gradient of one row of tiles.

    Args:
        row, row_members, values, source, features: as `cpu_blend.blend_row` takes them.
        rgbz_gradient: [4, H', W'] of the loss by red, green, blue and weighted depth; 0 outside the image.
        feature_gradient: [H', W', D].
        behind: [H', W'] sum of value times gradient, plus transmittance left times its gradient.
        gradient: [M, 16] added to, columns as in a record.
        features_gradient: [N, D] added to; [0, 0] where not wanted.
    """
    columns = behind.shape[1] // TILE
    starts, members = bin_columns(row_members, values, columns)
    state = np.empty((TILE, STATE, TILE), np.float32)
    sums = np.empty((COLUMNS, TILE), np.float32)  # of the present Gaussian, by column of the record
    goes_on = np.empty(TILE, np.bool_)
    y0 = row * TILE
    for column in range(columns):
        x0 = column * TILE
        _begin(state, goes_on, rgbz_gradient, behind, y0, x0)
        for k in range(starts[column], starts[column + 1]):
            if (k - starts[column]) % CHECK_EVERY == CHECK_EVERY - 1 and not _any_running(state, goes_on):
                break
            i = members[k]
            u, v = values[i, U] - np.float32(x0), values[i, V] - np.float32(y0)
            y_first = max(0, math.ceil(values[i, TOP]) - y0)
            y_last = min(TILE - 1, math.floor(values[i, BOTTOM]) - y0)
            x_first = max(0, math.ceil(values[i, LEFT]) - x0)
            x_last = min(TILE - 1, math.floor(values[i, RIGHT]) - x0)
            sums[:] = ZERO
            for y in range(y_first, y_last + 1):
                if goes_on[y]:
                    _weigh_lanes(np.float32(y) - v, u, i, values, state, y)
                    if features.shape[1]:
                        _score_features(
                            y,
                            x_first,
                            x_last,
                            source[i],
                            state,
                            features,
                            feature_gradient[y0 + y, x0:],
                            features_gradient,
                        )
                    _add_lanes(np.float32(y) - v, u, i, values, state, sums, y)
            for plane in range(COLUMNS):
                total = ZERO
                for x in range(TILE):
                    total += sums[plane, x]
                gradient[i, plane] += total


@numba.njit(cache=True, nogil=True)
def _begin(  # pragma: no cover (compiled)
    state: FloatArray,
    goes_on: NDArray[np.bool_],
    rgbz_gradient: FloatArray,
    behind: FloatArray,
    y0: int,
    x0: int,
) -> None:
    """Begin a tile."""
    goes_on[:] = True
    for y in range(TILE):
        for x in range(TILE):
            for c in range(4):
                state[y, c, x] = rgbz_gradient[c, y0 + y, x0 + x]
            state[y, BEHIND, x] = behind[y0 + y, x0 + x]
            state[y, RUNNING, x] = ONE
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
def _weigh_lanes(  # pragma: no cover (compiled)
    dy: Float32, u: Float32, i: int, values: FloatArray, state: FloatArray, y: int
) -> None:
    """Repeat the forward pass of record i in row y of a tile, and score its colour and depth there."""
    wxx, opacity, z = values[i, WXX], values[i, OPACITY], values[i, DEPTH]
    red, green, blue = values[i, RED], values[i, GREEN], values[i, BLUE]
    along, shift = values[i, WYY] * dy, values[i, WXY] * dy
    along *= along
    for x in range(TILE):
        across = wxx * (state[y, LANE, x] - u) + shift
        raw = opacity * half_exp(across * across + along)
        alpha = min(MOST, raw)
        alpha = alpha if alpha >= CUT else ZERO
        before = state[y, RUNNING, x]
        after = before * (ONE - alpha)
        running = after if after >= FLOOR else ZERO
        used = alpha if after >= FLOOR else ZERO
        state[y, RUNNING, x] = running
        state[y, WEIGHT, x] = before * used
        state[y, ALPHA, x] = raw if used > ZERO else ZERO
        state[y, BEFORE, x] = before
        state[y, ACROSS, x] = across
        state[y, SCORE, x] = (
            red * state[y, 0, x] + green * state[y, 1, x] + blue * state[y, 2, x] + z * state[y, 3, x]
        )


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})
def _score_features(  # pragma: no cover (compiled)
    y: int,
    x_first: int,
    x_last: int,
    g: int,
    state: FloatArray,
    features: FloatArray,
    pixels: FloatArray,
    features_gradient: FloatArray,
) -> None:
    """Add what Gaussian g's features are worth to the scores of row y, and its weights to their gradient.

    `pixels` [16 or more, D] is the gradient of the row's pixels.
    """
    for x in range(x_first, x_last + 1):
        w = state[y, WEIGHT, x]
        if w > ZERO:
            total = ZERO
            for c in range(features.shape[1]):
                total += features[g, c] * pixels[x, c]
            state[y, SCORE, x] += total
            if len(features_gradient):
                for c in range(features.shape[1]):
                    features_gradient[g, c] += w * pixels[x, c]


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, inline="always")
def _add_lanes(  # pragma: no cover (compiled)
    dy: Float32, u: Float32, i: int, values: FloatArray, state: FloatArray, sums: FloatArray, y: int
) -> None:
    """Add the gradient of record i in row y of a tile to its sums."""
    wxx, wxy, wyy = values[i, WXX], values[i, WXY], values[i, WYY]
    per_opacity, along = ONE / values[i, OPACITY], wyy * dy
    for x in range(TILE):
        w, raw, score = state[y, WEIGHT, x], state[y, ALPHA, x], state[y, SCORE, x]
        rest = state[y, BEHIND, x] - w * score
        state[y, BEHIND, x] = rest
        d_alpha = state[y, BEFORE, x] * score - rest / (ONE - min(MOST, raw))
        d_power = raw * d_alpha if raw <= MOST else ZERO  # by the logarithm of alpha; no gradient at the maximum
        pull, lift = -state[y, ACROSS, x] * d_power, -along * d_power
        sums[OPACITY, x] += d_power * per_opacity
        sums[WXX, x] += pull * (state[y, LANE, x] - u)
        sums[WXY, x] += pull * dy
        sums[WYY, x] += lift * dy
        sums[U, x] -= pull * wxx
        sums[V, x] -= pull * wxy + lift * wyy
        sums[RED, x] += w * state[y, 0, x]
        sums[GREEN, x] += w * state[y, 1, x]
        sums[BLUE, x] += w * state[y, 2, x]
        sums[DEPTH, x] += w * state[y, 3, x]
