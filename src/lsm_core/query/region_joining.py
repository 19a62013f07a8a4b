"""Regions that are pieces of one thing: what stands in front, or a hole in a mask, has torn them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

FloatArray = NDArray[np.float64]
Region = NDArray[np.int64]


@dataclass(frozen=True)
class JoinConfig:
    """When two regions of one text are one thing.

    Attributes:
        fragment: a region at most this share of another one's size may be a piece of it.
        fragment_reach: it is, when it comes nearer than this share of its own size.
        equal_reach: two regions of about one size, such as two chairs side by side, must come nearer: this share of
            the smaller one's size.
    """

    fragment: float = 0.6
    fragment_reach: float = 0.5
    equal_reach: float = 0.1


def join_regions(points: FloatArray, regions: Sequence[Region], config: JoinConfig) -> list[Region]:
    """Put the pieces of things together.

    Args:
        points: [N, 3].
        regions: indices of the points of each region.
        config: limits.

    Returns:
        The joined regions, in the order of their first pieces.
    """
    if len(regions) < 2:
        return list(regions)
    clouds = [points[region] for region in regions]
    middles = np.stack([np.median(cloud, axis=0) for cloud in clouds])
    radii = [np.linalg.norm(cloud - middle, axis=1) for cloud, middle in zip(clouds, middles, strict=True)]
    sizes = [2 * float(np.quantile(radius, 0.98)) for radius in radii]
    trees = [cKDTree(cloud) for cloud in clouds]
    pairs = []
    for i in range(len(regions)):
        for j in range(i + 1, len(regions)):
            small, large = (i, j) if sizes[i] <= sizes[j] else (j, i)
            piece = sizes[small] <= config.fragment * sizes[large]
            reach = sizes[small] * (config.fragment_reach if piece else config.equal_reach)
            apart = float(np.linalg.norm(middles[i] - middles[j])) - radii[i].max() - radii[j].max()
            if apart <= reach and _come_near(trees[large], clouds[small], reach):
                pairs.append((i, j))
    edges = np.array(pairs, np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges), bool), (edges[:, 0], edges[:, 1])), shape=(len(regions),) * 2)
    count, of_region = connected_components(graph, directed=False)
    return [np.concatenate([regions[i] for i in np.flatnonzero(of_region == n).tolist()]) for n in range(count)]


def _come_near(tree: cKDTree, points: FloatArray, reach: float) -> bool:
    """Whether any of the points is nearer than `reach` to one of the tree's."""
    return bool(np.isfinite(tree.query(points, distance_upper_bound=max(reach, 1e-12))[0]).any())
