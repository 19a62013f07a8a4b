"""Sparse convolution against a dense one, and against its definition where points share a voxel."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lsm_core.points import voxels as voxels_module
from lsm_core.points.sparse_conv import SubmanifoldConv
from lsm_core.points.voxels import Voxels


def some_points(count: int, side: int, unique: bool, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return grid [N, 3] and batch [N] (two samples)."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.cartesian_prod(*[torch.arange(side)] * 3)
    pick = torch.randperm(len(cells), generator=generator)[:count]
    if not unique:
        pick = pick[torch.randint(0, count // 2, (count,), generator=generator)]
    return cells[pick], (torch.arange(count) >= count // 2).long()


def by_definition(
    conv: SubmanifoldConv, features: torch.Tensor, grid: torch.Tensor, batch: torch.Tensor
) -> torch.Tensor:
    """Evaluate the formula of the module's text, point by point."""
    members: dict[tuple[int, ...], list[int]] = {}
    for i, (b, cell) in enumerate(zip(batch.tolist(), grid.tolist(), strict=True)):
        members.setdefault((b, *cell), []).append(i)
    half, centre = conv.size // 2, conv.size**3 // 2
    out = []
    for i, (b, cell) in enumerate(zip(batch.tolist(), grid.tolist(), strict=True)):
        total = torch.zeros(len(conv.weight)) if conv.bias is None else conv.bias.clone()
        wins = members[(b, *cell)][0] == i
        for k in range(conv.size**3):
            steps = (k // conv.size**2, k // conv.size % conv.size, k % conv.size)
            there = members.get((b, *(c + s - half for c, s in zip(cell, steps, strict=True))), [])
            weight = conv.weight[:, steps[0], steps[1], steps[2]]
            if k == centre:
                total = total + weight @ features[i]
            elif there and k > centre:
                total = total + weight @ features[there[0]]
            elif there and wins:
                total = total + weight @ features[there].sum(0)
        out.append(total)
    return torch.stack(out)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("table", [True, False])
@torch.no_grad()
def test_without_shared_voxels_it_is_a_dense_convolution(
    size: int, table: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(voxels_module, "MAX_TABLE", 10**9 if table else 0)
    grid, batch = some_points(120, 7, unique=True)
    features = torch.randn(120, 4)
    conv = SubmanifoldConv(4, 6, size)
    dense = torch.zeros(2, 4, 7, 7, 7)
    dense[batch, :, grid[:, 0], grid[:, 1], grid[:, 2]] = features
    expected = F.conv3d(dense, conv.weight.permute(0, 4, 1, 2, 3), conv.bias, padding=size // 2)
    found = conv(features, Voxels(grid, batch))
    torch.testing.assert_close(found, expected[batch, :, grid[:, 0], grid[:, 1], grid[:, 2]], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("size", [3, 5])
@torch.no_grad()
def test_shared_voxels_follow_the_stated_rule(size: int) -> None:
    grid, batch = some_points(60, 4, unique=False)
    voxels = Voxels(grid, batch)
    assert not voxels.unique and len(voxels) < 60
    features, conv = torch.randn(60, 3), SubmanifoldConv(3, 5, size)
    torch.testing.assert_close(
        conv(features, voxels), by_definition(conv, features, grid, batch), atol=1e-5, rtol=1e-4
    )


def test_the_winner_is_the_point_of_lowest_index() -> None:
    voxels = Voxels(torch.tensor([[1, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0]]), torch.zeros(4))
    assert sorted(voxels.winner.tolist()) == [0, 1]
    assert voxels.winner[voxels.of_point].tolist() == [0, 1, 0, 1]


def test_small_slices_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from lsm_core.points import sparse_conv

    grid, batch = some_points(80, 5, unique=False)
    features, conv = torch.randn(80, 3), SubmanifoldConv(3, 5, 3)
    whole = conv(features, Voxels(grid, batch))
    monkeypatch.setattr(sparse_conv, "CHUNK", 1)
    torch.testing.assert_close(conv(features, Voxels(grid, batch)), whole, atol=1e-5, rtol=1e-5)
