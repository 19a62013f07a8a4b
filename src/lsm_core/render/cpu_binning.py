"""Which Gaussians touch which tiles: lists in depth order, first per row of tiles, then per tile."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from lsm_core.render.cpu_records import LEFT, RIGHT, FloatArray, IntArray, tile_range


@numba.njit(cache=True, nogil=True)
def bin_rows(
    order: IntArray, rows: NDArray[np.int16], count: int
) -> tuple[IntArray, IntArray]:  # pragma: no cover (compiled)
    """List the records of each of `count` rows of tiles, front to back; returns starts [count + 1] and members."""
    starts = np.zeros(count + 1, np.int32)
    for i in order:
        for row in range(rows[i, 0], rows[i, 1]):
            starts[row + 1] += 1
    for row in range(count):
        starts[row + 1] += starts[row]
    cursor = starts.copy()
    members = np.empty(starts[count], np.int32)
    for i in order:
        for row in range(rows[i, 0], rows[i, 1]):
            members[cursor[row]] = i
            cursor[row] += 1
    return starts, members


@numba.njit(cache=True, nogil=True)
def bin_columns(
    row_members: IntArray, values: FloatArray, columns: int
) -> tuple[IntArray, IntArray]:  # pragma: no cover (compiled)
    """Split the list of one row of tiles by column; returns starts [columns + 1] and members, int32."""
    starts = np.zeros(columns + 1, np.int32)
    for i in row_members:
        first, last = tile_range(values[i, LEFT], values[i, RIGHT], columns)
        for column in range(first, last):
            starts[column + 1] += 1
    for column in range(columns):
        starts[column + 1] += starts[column]
    cursor = starts.copy()
    members = np.empty(starts[columns], np.int32)
    for i in row_members:
        first, last = tile_range(values[i, LEFT], values[i, RIGHT], columns)
        for column in range(first, last):
            members[cursor[column]] = i
            cursor[column] += 1
    return starts, members
