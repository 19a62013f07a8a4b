"""The voxels that points occupy, and who their neighbours are."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

MAX_TABLE = 64_000_000  # cells of the dense lookup table; larger grids are searched


class Voxels:
    """Occupied voxels of a point set; several points may share one, and the one of lowest index wins it.

    Attributes:
        of_point: [N] int64, voxel of each point.
        winner: [U] int64, the point of lowest index in each voxel.
        coords: [U, 3] int64.
        batch: [U] int64.
    """

    def __init__(self, grid: Tensor, batch: Tensor) -> None:
        """Group points.

        Args:
            grid: [N, 3] integers >= 0.
            batch: [N] index of each point's sample.
        """
        self._extent = (grid.amax(0).to(torch.int64) + 1).tolist() if len(grid) else [1, 1, 1]
        key = self._key(grid.to(torch.int64), batch.to(torch.int64))
        keys, self.of_point = torch.unique(key, return_inverse=True)
        index = torch.arange(len(key), device=key.device)
        first = torch.full((len(keys),), len(key), dtype=torch.int64, device=key.device)
        self.winner = first.scatter_reduce(0, self.of_point, index, "amin")
        self.coords = grid[self.winner].to(torch.int64)
        self.batch = batch[self.winner].to(torch.int64)
        self._keys = keys
        self._neighbours: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.winner)

    @property
    def unique(self) -> bool:
        """Whether no two points share a voxel."""
        return len(self.winner) == len(self.of_point)

    def neighbours(self, size: int) -> Tensor:
        """Return the voxel at each offset of a cubic kernel, [U, size^3] int64; U where none is occupied."""
        if size not in self._neighbours:
            self._neighbours[size] = self._look_up(kernel_offsets(size).to(self.coords.device))
        return self._neighbours[size]

    def summed(self, values: Tensor) -> Tensor:
        """Return the sum over each voxel's points, [U, C]."""
        if self.unique:
            return values[self.winner]
        return values.new_zeros(len(self), values.shape[1]).index_add_(0, self.of_point, values)

    def _key(self, coords: Tensor, batch: Tensor) -> Tensor:
        _, ny, nz = self._extent
        nx = self._extent[0]
        return ((batch * nx + coords[..., 0]) * ny + coords[..., 1]) * nz + coords[..., 2]

    def _look_up(self, offsets: Tensor) -> Tensor:
        """Find the voxels at coords + offset, one offset at a time (so memory stays small)."""
        extent = torch.tensor(self._extent, device=self.coords.device)
        cells = int(self.batch.max()) + 1 if len(self) else 1
        cells *= self._extent[0] * self._extent[1] * self._extent[2]
        table = None
        if cells <= MAX_TABLE:
            table = torch.full((cells,), len(self), dtype=torch.int32, device=self.coords.device)
            table[self._keys] = torch.arange(len(self), dtype=torch.int32, device=self.coords.device)
        found = torch.empty(len(self), len(offsets), dtype=torch.int64, device=self.coords.device)
        for column, offset in enumerate(offsets):
            there = self.coords + offset
            inside = ((there >= 0) & (there < extent)).all(1)
            key = torch.where(inside, self._key(there, self.batch), 0)
            voxel = table[key].to(torch.int64) if table is not None else self._search(key)
            found[:, column] = torch.where(inside, voxel, len(self))
        return found

    def _search(self, key: Tensor) -> Tensor:
        place = torch.searchsorted(self._keys, key).clamp(max=len(self) - 1)
        return torch.where(self._keys[place] == key, place, len(self))


@lru_cache(maxsize=8)
def kernel_offsets(size: int) -> Tensor:
    """Return the offsets of a cubic kernel from its centre, [size^3, 3] int64, x slowest."""
    steps = torch.arange(size) - size // 2
    return torch.cartesian_prod(steps, steps, steps)
