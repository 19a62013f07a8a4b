"""Exact nearest neighbours on a GPU, in plain torch: a bound from neighbours along a curve, then a search in grids.

Each point first gets an upper bound of its answer from a few points beside it on a z-order curve. Points whose
bounds are of one size are then looked up in a grid whose cells are that large, so all that can be nearer lies in
the cells around. Nothing but sorting, searching and scattering: no loop over points.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.points.serialization import interleaved

CURVE_BITS = 16
BESIDE = 4  # points on each side on the curve that give the bound
LEVELS = 16  # sizes of cells, each twice the one before
MARGIN = 1.001  # cells are this much larger than the bound, for rounding
PAIRS_AT_A_TIME = 1 << 24


def nearest_by_cells(points: Tensor, count: int) -> Tensor:
    """Return the squared distances [N, count] to the nearest other points, ascending.

    Args:
        points: [N, 3] float, finite.
        count: neighbours wanted, less than N.
    """
    low = points.amin(0)
    extent = (points - low).amax().clamp(min=torch.finfo(points.dtype).tiny)
    bound = bounds(points, (points - low) / extent, count)
    smallest = extent / (1 << LEVELS)
    level = (bound.sqrt() * MARGIN / smallest).clamp(min=1).log2().ceil().long()
    found = points.new_zeros(len(points), count)
    for size in torch.unique(level[bound > 0]).tolist():  # a bound of 0 is the answer: all are at the same place
        asked = torch.nonzero((level == size) & (bound > 0))[:, 0]
        found[asked] = _in_grid(points, points - low, smallest * 2.0**size, asked, count)
    return found


def bounds(points: Tensor, unit: Tensor, count: int) -> Tensor:
    """Return an upper bound [N] of the squared distance to the `count`-th other; `unit` is points in [0, 1]."""
    top = (1 << CURVE_BITS) - 1
    order = interleaved((unit * top).long().clamp(0, top), CURVE_BITS).sort().indices
    along, n = points[order], len(points)
    reach = min(max(BESIDE, count), n - 1)
    beside = points.new_full((n, 2 * reach), torch.inf)
    for step in range(1, reach + 1):
        squared = squared_distances(along[step:], along[:-step])
        beside[step:, 2 * step - 2] = squared
        beside[:-step, 2 * step - 1] = squared
    found = torch.empty_like(beside[:, 0])
    found[order] = beside.kthvalue(count, 1).values
    return found


def _in_grid(points: Tensor, shifted: Tensor, edge: Tensor, asked: Tensor, count: int) -> Tensor:
    """Search the cells around some points [M] of one grid; return [M, count]."""
    cell = (shifted / edge).floor().long() + 1  # an empty layer all around, so that rows do not run into each other
    ny, nz = (int(v) for v in (cell[:, 1:].amax(0) + 2).tolist())
    key = (cell[:, 0] * ny + cell[:, 1]) * nz + cell[:, 2]
    keys, order = key.sort()
    steps = torch.tensor([-1, 0, 1], device=points.device)
    rows = ((steps[:, None] * ny + steps) * nz).flatten()  # nine rows of three cells that follow each other
    middle = key[asked][:, None] + rows
    first, last = torch.searchsorted(keys, middle - 1), torch.searchsorted(keys, middle + 1, right=True)
    lengths = last - first
    found = []
    for part in _parts(lengths.sum(1)):
        found.append(_nearest_of(points, order, asked[part], first[part], lengths[part], count))
    return torch.cat(found)


def _parts(pairs: Tensor) -> list[slice]:
    """Cut a list of queries into runs with a bounded number of pairs each."""
    run = (pairs.cumsum(0) - pairs) // PAIRS_AT_A_TIME
    ends = torch.unique_consecutive(run, return_counts=True)[1].cumsum(0).tolist()
    return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _nearest_of(points: Tensor, order: Tensor, asked: Tensor, first: Tensor, lengths: Tensor, count: int) -> Tensor:
    """Return the `count` smallest squared distances of each query [M] to the points of its ranges of `order`."""
    rows = torch.arange(len(asked), device=points.device)
    ranges = lengths.flatten()
    query = torch.repeat_interleave(rows, lengths.sum(1))
    begin = torch.repeat_interleave(first.flatten() - (ranges.cumsum(0) - ranges), ranges)
    other = order[begin + torch.arange(len(query), device=points.device)]
    squared = squared_distances(points[asked[query]], points[other])
    squared = torch.where(other == asked[query], torch.inf, squared)
    index = torch.arange(len(query), device=points.device)
    out = []
    for _ in range(count):
        least = squared.new_full((len(asked),), torch.inf).scatter_reduce(0, query, squared, "amin")
        out.append(least)
        chosen = torch.where(squared == least[query], index, len(query))
        drop = torch.full_like(rows, len(query)).scatter_reduce(0, query, chosen, "amin")
        squared = torch.where(index == drop[query], torch.inf, squared)
    return torch.stack(out, 1)


def squared_distances(a: Tensor, b: Tensor) -> Tensor:
    """Return the squared distances [N] between the rows of two [N, 3]."""
    x, y, z = (a - b).square().unbind(1)
    return x + y + z
