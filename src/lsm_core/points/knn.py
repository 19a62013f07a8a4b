"""Exact nearest neighbours."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

PAIRS_AT_A_TIME = 1 << 27


def nearest_squared_distances(points: Tensor, count: int) -> Tensor:
    """Return the squared distances to the nearest other points, ascending.

    A point at the same place as another is at distance 0. With fewer than `count` other points the rest is
    infinite. A k-d tree on a CPU, all pairs in slices on a GPU; both are exact.

    Args:
        points: [N, 3] float.
        count: neighbours wanted.

    Returns:
        [N, count] in the dtype of `points`.
    """
    points = points.detach()
    found = _by_tree(points, count) if points.device.type == "cpu" else _by_pairs(points, count)
    missing = count - found.shape[1]
    return torch.nn.functional.pad(found, (0, missing), value=torch.inf) if missing else found


def _by_tree(points: Tensor, count: int) -> Tensor:
    count = min(count, len(points) - 1)
    if count < 1:
        return points.new_zeros(len(points), 0)
    array = points.double().numpy()
    distances, _ = cKDTree(array).query(array, count + 1, workers=-1)
    # The first is the point itself, or one at its place; either way at distance 0.
    return torch.from_numpy(np.square(distances[:, 1:])).to(points.dtype)


def _by_pairs(points: Tensor, count: int) -> Tensor:
    count = min(count, len(points) - 1)
    if count < 1:
        return points.new_zeros(len(points), 0)
    rows = max(1, PAIRS_AT_A_TIME // len(points))
    parts = []
    for start in range(0, len(points), rows):
        block = points[start : start + rows]
        squared = torch.zeros(len(block), len(points), dtype=points.dtype, device=points.device)
        for axis in range(points.shape[1]):
            squared += (block[:, axis, None] - points[None, :, axis]).square_()
        index = torch.arange(len(block), device=points.device)
        squared[index, start + index] = torch.inf
        parts.append(squared.topk(count, 1, largest=False, sorted=True).values)
    return torch.cat(parts)
