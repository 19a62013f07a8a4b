"""Exact nearest neighbours."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from lsm_core.points.cell_search import nearest_by_cells


def nearest_squared_distances(points: Tensor, count: int) -> Tensor:
    """Return the squared distances to the nearest other points, ascending.

    A point at the same place as another is at distance 0. With fewer than `count` other points the rest is
    infinite. A k-d tree on a CPU, a search in grids on a GPU; both are exact.

    Args:
        points: [N, 3] float, finite.
        count: neighbours wanted.

    Returns:
        [N, count] in the dtype of `points`.
    """
    points = points.detach()
    wanted = max(min(count, len(points) - 1), 0)
    search = _by_tree if points.device.type == "cpu" else nearest_by_cells
    found = search(points, wanted) if wanted else points.new_zeros(len(points), 0)
    return torch.nn.functional.pad(found, (0, count - wanted), value=torch.inf) if wanted < count else found


def _by_tree(points: Tensor, count: int) -> Tensor:
    array = points.double().numpy()
    distances, _ = cKDTree(array).query(array, count + 1, workers=-1)
    # The first is the point itself, or one at its place; either way at distance 0.
    return torch.from_numpy(np.square(distances[:, 1:])).to(points.dtype)
