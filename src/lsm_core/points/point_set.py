"""Points on their way through Point Transformer V3: features, places on curves, voxels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from lsm_core.points.serialization import ORDERS, curve_codes
from lsm_core.points.voxels import Voxels


@dataclass(frozen=True, eq=False)
class PointSet:
    """Points of one stage; all samples one after the other.

    Attributes:
        features: [N, C].
        grid: [N, 3] int32 voxel coordinates.
        batch: [N] int64 sample of each point, ascending.
        counts: points of each sample.
        codes: [O, N] int64 place on each curve.
        orders: [O, N] int64: row o lists the points along curve o.
        depth: bits per axis of the grid.
    """

    features: Tensor
    grid: Tensor
    batch: Tensor
    counts: list[int]
    codes: Tensor
    orders: Tensor
    depth: int

    @cached_property
    def voxels(self) -> Voxels:
        """Who shares a voxel, and who neighbours whom."""
        return Voxels(self.grid, self.batch)

    def with_features(self, features: Tensor) -> PointSet:
        """Return the same points with other features; what was found of their places is kept."""
        other = replace(self, features=features)
        if "voxels" in self.__dict__:
            other.__dict__["voxels"] = self.voxels
        return other


def serialized(
    features: Tensor,
    coords: Tensor,
    counts: Sequence[int],
    grid_size: float,
    permutation: Tensor,
    orders: Tensor | None = None,
    curves: Sequence[str] = ORDERS,
) -> PointSet:
    """Put points on the curves.

    Args:
        features: [N, C].
        coords: [N, 3] of all samples; the grid starts at the minimum over all of them.
        counts: points of each sample.
        grid_size: edge of a voxel, in the unit of `coords`.
        permutation: [O] the order in which the curves are used.
        orders: [O, N] instead of sorting: ties may be broken in another way than here, by the index.
        curves: names of the O curves.
    """
    grid = torch.div(coords - coords.amin(0), grid_size, rounding_mode="trunc").int()
    lengths = torch.tensor(list(counts), device=coords.device)
    batch = torch.repeat_interleave(torch.arange(len(lengths), device=coords.device), lengths)
    depth = int(grid.max()).bit_length()
    codes = curve_codes(grid, batch, depth, curves)[permutation]
    sorted_orders = codes.sort(dim=1, stable=True).indices if orders is None else orders
    return PointSet(features, grid, batch, list(counts), codes, sorted_orders, depth)


@dataclass(frozen=True, eq=False)
class Pooled:
    """Clusters of a stage: the coarser points (without features) and the cluster of each finer one, [N] int64."""

    points: PointSet
    cluster: Tensor


def pooled(points: PointSet, permutation: Tensor, stride: int = 2) -> Pooled:
    """Join the points of each larger cell; rows follow the first curve.

    Args:
        points: the finer stage.
        permutation: [O] applied to the curves as they are permuted already.
        stride: how many times larger, taken up to a power of two; a grid with fewer bits than that stays as it is.
    """
    bits = (stride - 1).bit_length()
    bits = bits if bits <= points.depth else 0
    codes = points.codes >> 3 * bits
    _, cluster = torch.unique(codes[0], sorted=True, return_inverse=True)
    size = int(cluster.max()) + 1
    index = torch.arange(len(cluster), device=cluster.device)
    member = torch.full((size,), len(cluster), dtype=torch.int64, device=cluster.device)
    member = member.scatter_reduce(0, cluster, index, "amin")
    codes = codes[:, member][permutation]
    batch = points.batch[member]
    counts = torch.bincount(batch, minlength=len(points.counts)).tolist()
    orders = codes.sort(dim=1, stable=True).indices
    grid = points.grid[member] >> bits
    return Pooled(PointSet(points.features[:0], grid, batch, counts, codes, orders, points.depth - bits), cluster)


def max_over_clusters(features: Tensor, cluster: Tensor, size: int) -> Tensor:
    """Return the largest value of each channel over each cluster, [size, C]."""
    index = cluster[:, None].expand_as(features)
    empty = features.new_full((size, features.shape[1]), -torch.inf)
    return empty.scatter_reduce(0, index, features, "amax")
