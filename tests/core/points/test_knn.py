"""Nearest neighbours by both searches against all pairs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from lsm_core.points import cell_search, knn
from lsm_core.points.cell_search import nearest_by_cells
from lsm_core.points.knn import nearest_squared_distances

Search = Callable[[torch.Tensor, int], torch.Tensor]


def cloud(kind: str, count: int = 400) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    points = torch.rand(count, 3, generator=generator) * 2 - 1
    if kind == "surface":
        points[:, 2] = 0.3 * points[:, 0].sin() + 100
    elif kind == "clusters and strays":
        points[: count // 2] *= 1e-4
        points[-5:] *= 1e3
    elif kind == "same places":
        points = points[torch.randint(0, count // 3, (count,), generator=generator)]
    elif kind == "one place":
        points = points[:1].repeat(count, 1)
    elif kind == "line":
        points[:, :2] = 5.0
    return points


@pytest.mark.parametrize("search", [knn._by_tree, nearest_by_cells])
@pytest.mark.parametrize("kind", ["box", "surface", "clusters and strays", "same places", "one place", "line"])
@pytest.mark.parametrize("count", [1, 3, 6])
def test_distances_to_the_nearest_others_are_exact(search: Search, kind: str, count: int) -> None:
    points = cloud(kind)
    squared = (points[:, None] - points[None]).double().square().sum(-1)
    squared.fill_diagonal_(torch.inf)
    expected = squared.sort(1).values[:, :count].to(points.dtype)
    found = search(points, count)
    if search is nearest_by_cells:
        torch.testing.assert_close(found, expected, atol=0, rtol=1e-6)
    else:
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-5)


def test_few_pairs_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    points = cloud("clusters and strays")
    whole = nearest_by_cells(points, 3)
    monkeypatch.setattr(cell_search, "PAIRS_AT_A_TIME", 50)
    assert torch.equal(nearest_by_cells(points, 3), whole)


@pytest.mark.parametrize("search", [knn._by_tree, nearest_by_cells])
def test_four_points_know_each_other(search: Search) -> None:
    points = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]])
    assert search(points, 3)[0].tolist() == [1.0, 4.0, 9.0]


def test_too_few_points_leave_infinite_distances() -> None:
    points = cloud("box", 3)
    assert nearest_squared_distances(points, 3).isinf().sum(1).tolist() == [1, 1, 1]
    assert bool(nearest_squared_distances(points[:1], 3).isinf().all())
