"""Fewer points for the same scene: one per voxel, at most so many, clouds of several keyframes as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import InputError
from lsm_core.mapping.clouds import PointCloud


def voxel_downsample(cloud: PointCloud, voxel: float) -> PointCloud:
    """Keep one point per cube: mean position and colour, label, score and confidence of its most confident point.

    Args:
        cloud: in any frame.
        voxel: edge length in the cloud's unit; <= 0 returns the cloud as it is.

    Returns:
        Points in the order of their voxels, the same for any order of the input up to rounding of the means.
    """
    return _by_voxels(cloud, voxel)[0]


def thinned(cloud: PointCloud, voxel: float, limit: int) -> tuple[PointCloud, NDArray[np.int64]]:
    """Thin a cloud by voxels and to at most `limit` points, and say whose labels they have.

    Returns:
        `cap_points` of `voxel_downsample`, and for each of its points [M] the one of `cloud` that its label, score
        and confidence are of: labels that come later can be taken by these.
    """
    thin, chosen = _by_voxels(cloud, voxel)
    rows = _within(thin, limit)
    return (thin, chosen) if rows is None else (thin.select(rows), chosen.take(rows))


def _by_voxels(cloud: PointCloud, voxel: float) -> tuple[PointCloud, NDArray[np.int64]]:
    """Return one point per cube, and for each the point of the cloud that is the most confident one there."""
    if voxel <= 0 or len(cloud) == 0:
        return cloud, np.arange(len(cloud))
    cells = np.floor(np.ascontiguousarray(cloud.points.T, np.float64) / voxel)  # [3, N]: one axis after another
    cells = (cells - cells.min(1, keepdims=True)).astype(np.int64)
    if int(cells.max()) >= 1 << 21:
        raise InputError(
            f"The cloud spans {int(cells.max())} voxels of {voxel:g}; at most {1 << 21} are possible.",
            "Use a larger voxel, or drop points far away.",
        )
    key = (cells[0] << 42) | (cells[1] << 21) | cells[2]
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    best = order[_first_of_maximum(cloud.confidence[order], starts, counts)]

    def mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
        rows = values.take(order, axis=0).astype(np.float64)
        return np.add.reduceat(rows, starts, axis=0) / counts[:, None]

    thin = PointCloud(
        mean(cloud.points).astype(np.float32),
        np.rint(mean(cloud.rgb)).astype(np.uint8),
        cloud.confidence.take(best),
        cloud.label.take(best),
        cloud.score.take(best),
    )
    return thin, best


def cap_points(cloud: PointCloud, limit: int) -> PointCloud:
    """Thin a cloud to at most `limit` points, evenly in space with preference for confident ones.

    Deterministic: weighted sampling (Efraimidis and Spirakis 2006) with a fixed hash of the index as randomness.
    """
    rows = _within(cloud, limit)
    return cloud if rows is None else cloud.select(rows)


def _within(cloud: PointCloud, limit: int) -> NDArray[np.int64] | None:
    """Return which points stay of a cloud that is cut down to a number, None for all."""
    n = len(cloud)
    if n <= limit:
        return None
    if limit <= 0:
        return np.zeros(0, np.int64)
    rank = np.empty(n)
    rank[np.argsort(cloud.confidence, kind="stable")] = np.linspace(0.5, 1.5, n)
    key = np.log(_hashed_uniform(n)) / rank
    return np.sort(np.argpartition(key, n - limit)[n - limit :])


def union_clouds(clouds: Sequence[PointCloud], voxel: float, limit: int) -> PointCloud:
    """Join clouds of one frame, thin them by voxels and cap them: the map of a segment."""
    return cap_points(voxel_downsample(PointCloud.concatenate(clouds), voxel), limit)


def relative_voxel(median_depth: float, share: float = 0.01) -> float:
    """Return a voxel edge for clouds without metres: a share of the median depth."""
    return share * median_depth


def _first_of_maximum(
    values: NDArray[np.float32], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the position of the first maximum of each run (runs given by start and length)."""
    run = np.repeat(np.arange(len(starts)), counts)
    at = np.flatnonzero(values == np.maximum.reduceat(values, starts)[run])
    return at[np.flatnonzero(np.diff(run[at], prepend=-1))]


def _hashed_uniform(n: int) -> NDArray[np.float64]:
    """Return n fixed numbers in (0, 1) that look random: splitmix64 of the index."""
    with np.errstate(over="ignore"):
        z = (np.arange(1, n + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54
