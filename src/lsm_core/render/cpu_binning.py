"""Which Gaussians touch which tiles: lists in depth order, first per row of tiles, then per tile."""

from __future__ import annotations

import math

import numba
import numpy as np

from lsm_core.render.cpu_records import REACH_X, REACH_Y, TILE, Float32, FloatArray, IntArray, U, V


@numba.njit(cache=True, nogil=True)
def tile_range(center: Float32, reach: Float32, tiles: int) -> tuple[int, int]:  # pragma: no cover (compiled)
    """Return the half-open range of tiles along one axis whose pixels lie within `reach` of `center`."""
    first = math.floor((center - reach) / TILE)
    last = math.floor((center + reach) / TILE) + 1
    return int(max(0, min(first, tiles))), int(max(0, min(last, tiles)))


@numba.njit(cache=True, nogil=True)
def bin_rows(
    order: IntArray, values: FloatArray, rows: int
) -> tuple[IntArray, IntArray]:  # pragma: no cover (compiled)
    """List the records of each row of tiles, front to back; returns starts [rows + 1] and members, int32."""
    touched = np.empty((len(order), 2), np.int16)
    starts = np.zeros(rows + 1, np.int32)
    for k in range(len(order)):
        i = order[k]
        first, last = tile_range(values[i, V], values[i, REACH_Y], rows)
        touched[k, 0], touched[k, 1] = first, last
        for row in range(first, last):
            starts[row + 1] += 1
    for row in range(rows):
        starts[row + 1] += starts[row]
    cursor = starts.copy()
    members = np.empty(starts[rows], np.int32)
    for k in range(len(order)):
        for row in range(touched[k, 0], touched[k, 1]):
            members[cursor[row]] = order[k]
            cursor[row] += 1
    return starts, members


@numba.njit(cache=True, nogil=True)
def bin_columns(
    row_members: IntArray, values: FloatArray, columns: int
) -> tuple[IntArray, IntArray]:  # pragma: no cover (compiled)
    """Split the list of one row of tiles by column; returns starts [columns + 1] and members, int32."""
    starts = np.zeros(columns + 1, np.int32)
    for i in row_members:
        first, last = tile_range(values[i, U], values[i, REACH_X], columns)
        for column in range(first, last):
            starts[column + 1] += 1
    for column in range(columns):
        starts[column + 1] += starts[column]
    cursor = starts.copy()
    members = np.empty(starts[columns], np.int32)
    for i in row_members:
        first, last = tile_range(values[i, U], values[i, REACH_X], columns)
        for column in range(first, last):
            members[cursor[column]] = i
            cursor[column] += 1
    return starts, members
