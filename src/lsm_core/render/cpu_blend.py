"""The compiled blending of one row of tiles: front to back, 16 pixels at once, ending early."""

from __future__ import annotations

import math

import numba
import numpy as np

from lsm_core.render.base import MEDIAN_TRANSMITTANCE, TRANSMITTANCE_MIN
from lsm_core.render.cpu_alpha import CUT, ONE, TOP, ZERO, half_exp
from lsm_core.render.cpu_binning import bin_columns
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

FLOOR, MEDIAN = np.float32(TRANSMITTANCE_MIN), np.float32(MEDIAN_TRANSMITTANCE)
CHECK_EVERY = 16  # Gaussians between two looks at whether a tile is done

# Planes of the image: colour, depth (sum of weight times z), transmittance, median depth.
RGBZ = slice(0, 4)
TRANSMITTANCE, MEDIAN_DEPTH = 4, 5
PLANES = 6


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
    running = np.empty((TILE, TILE), np.float32)  # transmittance, 0 once a pixel has ended
    left = np.empty((TILE, TILE), np.float32)  # transmittance where it ended
    largest = np.empty((TILE, TILE), np.float32)
    best = np.empty((TILE, TILE), np.int32)
    rgbz = np.empty((4, TILE, TILE), np.float32)
    median = np.empty((TILE, TILE), np.float32)
    weight = np.empty(TILE, np.float32)
    lanes = np.arange(TILE).astype(np.float32)
    depth_of = features.shape[1]
    y0 = row * TILE
    for column in range(columns):
        x0 = column * TILE
        running[:], left[:], largest[:], best[:], rgbz[:], median[:] = ONE, ONE, ZERO, -1, ZERO, ZERO
        for k in range(starts[column], starts[column + 1]):
            if (k - starts[column]) % CHECK_EVERY == CHECK_EVERY - 1 and not running.any():
                break
            i = members[k]
            wxx, wxy, wyy, opacity = values[i, WXX], values[i, WXY], values[i, WYY], values[i, OPACITY]
            z, red, green, blue = values[i, DEPTH], values[i, RED], values[i, GREEN], values[i, BLUE]
            u, v = values[i, U] - np.float32(x0), values[i, V] - np.float32(y0)
            g = source[i]
            x_first = max(0, math.ceil(u - values[i, REACH_X]))
            x_last = min(TILE - 1, math.floor(u + values[i, REACH_X]))
            y_first = max(0, math.ceil(v - values[i, REACH_Y]))
            y_last = min(TILE - 1, math.floor(v + values[i, REACH_Y]))
            for y in range(y_first, y_last + 1):
                dy = np.float32(y) - v
                along, shift = wyy * dy, wxy * dy
                along *= along
                for x in range(TILE):
                    across = wxx * (lanes[x] - u) + shift
                    alpha = min(TOP, opacity * half_exp(across * across + along))
                    alpha = alpha if alpha >= CUT else ZERO
                    before = running[y, x]
                    after = before * (ONE - alpha)
                    goes_on = after >= FLOOR
                    w = before * alpha if goes_on else ZERO
                    running[y, x] = after if goes_on else ZERO
                    left[y, x] = after if goes_on else left[y, x]
                    median[y, x] = z if before > MEDIAN and after <= MEDIAN else median[y, x]
                    rgbz[0, y, x] += w * red
                    rgbz[1, y, x] += w * green
                    rgbz[2, y, x] += w * blue
                    rgbz[3, y, x] += w * z
                    stronger = w > largest[y, x]
                    largest[y, x] = w if stronger else largest[y, x]
                    best[y, x] = g if stronger else best[y, x]
                    weight[x] = w
                if depth_of:
                    for x in range(x_first, x_last + 1):
                        w = weight[x]
                        if w > ZERO:
                            for c in range(depth_of):
                                feature_image[y0 + y, x0 + x, c] += w * features[g, c]
        for y in range(TILE):
            for x in range(TILE):
                for c in range(4):
                    planes[c, y0 + y, x0 + x] = rgbz[c, y, x]
                planes[TRANSMITTANCE, y0 + y, x0 + x] = left[y, x]
                planes[MEDIAN_DEPTH, y0 + y, x0 + x] = median[y, x]
                strongest[y0 + y, x0 + x] = best[y, x]
