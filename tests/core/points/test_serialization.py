"""Curves: each is a walk through all cells, and Hilbert's never jumps."""

from __future__ import annotations

import pytest
import torch

from lsm_core.points.serialization import ORDERS, curve_codes, interleaved


def all_cells(depth: int) -> torch.Tensor:
    side = torch.arange(1 << depth)
    return torch.cartesian_prod(side, side, side)


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("order", ORDERS)
def test_each_cell_has_its_own_place(depth: int, order: str) -> None:
    cells = all_cells(depth)
    codes = curve_codes(cells, torch.zeros(len(cells)), depth, [order])[0]
    assert torch.equal(codes.sort().values, torch.arange(len(cells)))


@pytest.mark.parametrize("order", ["hilbert", "hilbert-trans"])
def test_neighbours_on_hilberts_curve_are_neighbours_in_space(order: str) -> None:
    cells = all_cells(4)
    along = cells[curve_codes(cells, torch.zeros(len(cells)), 4, [order])[0].argsort()]
    assert bool(((along[1:] - along[:-1]).abs().sum(1) == 1).all())


def test_bits_interleave_with_x_highest() -> None:
    assert interleaved(torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 3, 0]]), 2).tolist() == [4, 2, 1, 50]


def test_a_coarser_cell_is_the_code_shifted() -> None:
    cells = all_cells(4)
    zero = torch.zeros(len(cells))
    fine, coarse = curve_codes(cells, zero, 4), curve_codes(cells >> 1, zero, 3)
    for f, c in zip(fine, coarse, strict=True):
        groups = {}
        for parent, child in zip((f >> 3).tolist(), c.tolist(), strict=True):
            assert groups.setdefault(parent, child) == child


def test_samples_do_not_mix() -> None:
    cells = all_cells(2)
    codes = curve_codes(torch.cat((cells, cells)), torch.arange(2).repeat_interleave(len(cells)), 2)
    assert bool((codes[:, : len(cells)].amax(1) < codes[:, len(cells) :].amin(1)).all())
