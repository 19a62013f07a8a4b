"""The compiled gradient of the blending, one row of tiles at a time.

It walks front to back like the forward pass. What lies behind a Gaussian is the pixel's total less what came
before, so nothing has to be stored and no transmittance is divided back.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from lsm_core.render.cpu_alpha import CUT, ONE, TOP, ZERO, half_exp
from lsm_core.render.cpu_binning import bin_columns
from lsm_core.render.cpu_blend import FLOOR
from lsm_core.render.cpu_records import (
    BLUE,
    DEPTH,
    GREEN,
    OPACITY,
    REACH_X,
    REACH_Y,
    RED,
    TILE,
    WXX,
    WXY,
    WYY,
    FloatArray,
    IntArray,
    U,
    V,
)


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
        behind: [H', W'] sum of value times gradient, plus transmittance left times its gradient; used up.
        gradient: [M, 16] added to, columns as in a record.
        features_gradient: [N, D] added to; [0, 0] where not wanted.
    """
    columns = behind.shape[1] // TILE
    starts, members = bin_columns(row_members, values, columns)
    running = np.empty((TILE, TILE), np.float32)
    alpha_of, before_of, score = np.empty(TILE, np.float32), np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    weight, across_of = np.empty(TILE, np.float32), np.empty(TILE, np.float32)
    lanes = np.arange(TILE).astype(np.float32)
    channels, wants_features = features.shape[1], len(features_gradient) > 0
    y0 = row * TILE
    for column in range(columns):
        x0 = column * TILE
        running[:] = ONE
        for k in range(starts[column], starts[column + 1]):
            i = members[k]
            wxx, wxy, wyy, opacity = values[i, WXX], values[i, WXY], values[i, WYY], values[i, OPACITY]
            z, red, green, blue = values[i, DEPTH], values[i, RED], values[i, GREEN], values[i, BLUE]
            u, v = values[i, U] - np.float32(x0), values[i, V] - np.float32(y0)
            g = source[i]
            x_first = max(0, math.ceil(u - values[i, REACH_X]))
            x_last = min(TILE - 1, math.floor(u + values[i, REACH_X]))
            y_first = max(0, math.ceil(v - values[i, REACH_Y]))
            y_last = min(TILE - 1, math.floor(v + values[i, REACH_Y]))
            d_u = d_v = d_wxx = d_wxy = d_wyy = d_opacity = d_z = d_red = d_green = d_blue = ZERO
            for y in range(y_first, y_last + 1):
                dy = np.float32(y) - v
                along, shift = wyy * dy, wxy * dy
                along_squared = along * along
                for x in range(TILE):
                    across = wxx * (lanes[x] - u) + shift
                    raw = opacity * half_exp(across * across + along_squared)
                    alpha = min(TOP, raw)
                    before = running[y, x]
                    after = before * (ONE - (alpha if alpha >= CUT else ZERO))
                    goes_on = after >= FLOOR
                    used = goes_on and alpha >= CUT
                    running[y, x] = after if goes_on else ZERO
                    weight[x] = before * alpha if used else ZERO
                    alpha_of[x] = raw if used else ZERO
                    before_of[x] = before
                    across_of[x] = across
                    score[x] = (
                        red * rgbz_gradient[0, y0 + y, x0 + x]
                        + green * rgbz_gradient[1, y0 + y, x0 + x]
                        + blue * rgbz_gradient[2, y0 + y, x0 + x]
                        + z * rgbz_gradient[3, y0 + y, x0 + x]
                    )
                if channels:
                    for x in range(x_first, x_last + 1):
                        w = weight[x]
                        if w > ZERO:
                            total = ZERO
                            for c in range(channels):
                                total += features[g, c] * feature_gradient[y0 + y, x0 + x, c]
                            score[x] += total
                            if wants_features:
                                for c in range(channels):
                                    features_gradient[g, c] += w * feature_gradient[y0 + y, x0 + x, c]
                for x in range(TILE):
                    w, raw = weight[x], alpha_of[x]
                    rest = behind[y0 + y, x0 + x] - w * score[x]
                    behind[y0 + y, x0 + x] = rest
                    alpha = min(TOP, raw)
                    d_alpha = before_of[x] * score[x] - rest / (ONE - alpha)
                    d_power = raw * d_alpha if ZERO < raw <= TOP else ZERO  # by the logarithm of alpha
                    pull = -across_of[x] * d_power
                    d_opacity += d_power
                    d_wxx += pull * (lanes[x] - u)
                    d_wxy += pull * dy
                    d_wyy -= along * dy * d_power
                    d_u -= pull * wxx
                    d_v -= pull * wxy - along * wyy * d_power
                    d_red += w * rgbz_gradient[0, y0 + y, x0 + x]
                    d_green += w * rgbz_gradient[1, y0 + y, x0 + x]
                    d_blue += w * rgbz_gradient[2, y0 + y, x0 + x]
                    d_z += w * rgbz_gradient[3, y0 + y, x0 + x]
            gradient[i, U] += d_u
            gradient[i, V] += d_v
            gradient[i, WXX] += d_wxx
            gradient[i, WXY] += d_wxy
            gradient[i, WYY] += d_wyy
            gradient[i, OPACITY] += d_opacity / opacity
            gradient[i, DEPTH] += d_z
            gradient[i, RED] += d_red
            gradient[i, GREEN] += d_green
            gradient[i, BLUE] += d_blue
