"""Pieces of one thing are put together; things that only stand near each other are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from lsm_core.query.region_joining import JoinConfig, join_regions


def blocks(*parts: tuple[float, float]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return points of blocks along x, each from low to high, and the indices of each block's points."""
    rng = np.random.default_rng(0)
    clouds = [rng.uniform((low, 0, 0), (high, 0.4, 0.4), (400, 3)) for low, high in parts]
    return np.concatenate(clouds), [np.arange(400) + 400 * i for i in range(len(parts))]


def joined(*parts: tuple[float, float], config: JoinConfig | None = None) -> list[int]:
    """Return the sizes of the regions after joining."""
    return [len(r) for r in join_regions(*blocks(*parts), config or JoinConfig())]


def test_a_piece_joins_the_large_part_it_was_torn_off() -> None:
    assert joined((0, 2.0), (2.2, 2.6)) == [800]  # a chair stood before the table
    assert joined((0, 2.0), (2.9, 3.3)) == [400, 400]  # further away than half its size


def test_two_chairs_side_by_side_stay_two() -> None:
    assert joined((0, 0.5), (0.7, 1.2)) == [400, 400]
    assert joined((0, 0.5), (0.52, 1.02)) == [800]  # no gap to speak of


def test_pieces_join_over_the_large_part_between_them() -> None:
    assert joined((-0.5, -0.2), (0, 2.0), (2.2, 2.5), (9, 9.5)) == [1200, 400]


@pytest.mark.parametrize("unit", [0.01, 1.0, 100.0])
def test_unit_frame_and_order_do_not_matter(unit: float) -> None:
    points, regions = blocks((0, 2.0), (2.2, 2.6), (4, 4.4))
    turn = Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix()
    found = join_regions(unit * points @ turn.T + 5 * unit, regions[::-1], JoinConfig())
    assert sorted(tuple(sorted(r)) for r in found) == [tuple(range(800)), tuple(range(800, 1200))]


def test_nothing_joins_where_it_is_turned_off_and_nothing_is_fine() -> None:
    assert joined((0, 2.0), (2.2, 2.6), config=JoinConfig(0, 0, 0)) == [400, 400]
    assert join_regions(np.zeros((0, 3)), [], JoinConfig()) == []
