"""What the compiled kernels know of a Gaussian on the image: one cache line each, and the tiles it touches."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.render.projection import Splats
from lsm_core.types import Camera

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
Float32 = Any  # a float32 number in compiled code, whose arithmetic NumPy's stubs do not describe

TILE: Final = 16  # pixels; a row of a tile is one vector of 16 lanes

# Columns of a record.
U, V, WXX, WXY, WYY, OPACITY, DEPTH, RED, GREEN, BLUE, LEFT, TOP, RIGHT, BOTTOM = range(14)
WIDTH: Final = 16


@dataclass(frozen=True, eq=False)
class Records:
    """The M Gaussians of a view that can reach a pixel.

    Attributes:
        values: [M, 16] float32; columns: see the constants above, 14 and 15 are unused.
        source: [M] int32, which of the scene's Gaussians.
        order: [M] int32, front to back.
        rows: [M, 2] int16, half-open range of rows of tiles touched.
    """

    values: FloatArray
    source: IntArray
    order: IntArray
    rows: NDArray[np.int16]


def records_of(splats: Splats, camera: Camera) -> Records:
    """Return the records of splats that are sorted already."""
    count = len(splats.index)
    columns = [splats.means, splats.whitening, splats.opacities[:, None], splats.depths[:, None], splats.rgb]
    values = np.zeros((count, WIDTH), np.float32)
    values[:, : BOTTOM + 1] = torch.cat([*columns, splats.box], 1).detach().cpu().numpy()
    source = splats.index.cpu().numpy().astype(np.int32)
    rows = np.empty((count, 2), np.int16)
    _touch_rows(values, tile_counts(camera)[0], rows)
    return Records(values, source, np.arange(count, dtype=np.int32), rows)


def tile_counts(camera: Camera) -> tuple[int, int]:
    """Return the numbers of tile rows and tile columns of an image."""
    return -(-camera.height // TILE), -(-camera.width // TILE)


@numba.njit(cache=True, nogil=True)
def tile_range(low: Float32, high: Float32, tiles: int) -> tuple[int, int]:  # pragma: no cover (compiled)
    """Return the half-open range of tiles along one axis that pixels `low` to `high` lie in."""
    first, last = math.floor(low / TILE), math.floor(high / TILE) + 1
    return int(max(0, min(first, tiles))), int(max(0, min(last, tiles)))


@numba.njit(cache=True, nogil=True)
def _touch_rows(values: FloatArray, tiles: int, rows: NDArray[np.int16]) -> None:  # pragma: no cover (compiled)
    """Write the range of rows of tiles of each record."""
    for i in range(len(values)):
        rows[i, 0], rows[i, 1] = tile_range(values[i, TOP], values[i, BOTTOM], tiles)
