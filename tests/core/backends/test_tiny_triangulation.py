"""Matches that are exact give exact depths of both views; poor matches weigh less or nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from parallax_room import bent, moved, see

from lsm_core.backends.tiny_dense_matches import DenseMatches, GridView, expected_place, match_densely
from lsm_core.backends.tiny_triangulation import (
    MeasuredDepth,
    TriangulationOptions,
    carry_to_other_view,
    triangulate,
)

OPTIONS = TriangulationOptions()


def exact_matches(first: GridView, second: GridView, T_1_0: NDArray[np.float64]) -> DenseMatches:
    """What the true depth and pose say, on strong texture."""
    place = expected_place(first, second.K, T_1_0)
    height, width = first.depth.shape
    inside = ((place > 0) & (place < np.array([width, height]) - 1)).all(-1)
    gradients = np.tile([1e4, 1e4, 0.0], (height, width, 1))
    return DenseMatches(place, np.zeros((height, width)), gradients, inside)


@pytest.fixture(scope="module")
def views() -> tuple[GridView, GridView]:
    return see(np.eye(4)), see(moved())


def test_exact_matches_give_the_exact_depth(views: tuple[GridView, GridView]) -> None:
    first, second = views
    guessed = replace(first, depth=bent(first.depth))
    measured, _ = triangulate(exact_matches(first, second, moved()), guessed, second, moved(), OPTIONS)
    known = measured.weight > 0
    assert known.mean() > 0.7
    np.testing.assert_allclose(
        guessed.depth[known] * np.exp(measured.log_shift[known]), first.depth[known], rtol=1e-4
    )


def test_the_same_matches_measure_the_other_view(views: tuple[GridView, GridView]) -> None:
    first, second = views
    matches = exact_matches(first, second, moved())
    measured, depth_1 = triangulate(matches, first, second, moved(), OPTIONS)
    unit = 0.8
    guessed = replace(second, depth=unit * bent(second.depth))
    carried = carry_to_other_view(measured, matches, depth_1, guessed, 1 / unit)
    known = carried.weight > 0
    assert known.mean() > 0.5
    ratio = bent(second.depth)[known] * np.exp(carried.log_shift[known]) / second.depth[known]
    assert np.median(np.abs(ratio - 1)) < 0.005  # a match falls up to half a pixel beside the pixel it counts for
    assert carried.weight.max() <= measured.weight.max() + 1e-9


def test_matches_off_the_epipolar_line_weigh_less_and_then_nothing(views: tuple[GridView, GridView]) -> None:
    first, second = views
    matches = exact_matches(first, second, moved())
    weights = []
    for off in (0.0, 1.0, 3.0):  # the cameras move sideways, so lines run across: down is off the line
        beside = replace(matches, place=matches.place + np.array([0.0, off]))
        weights.append(np.median(triangulate(beside, first, second, moved(), OPTIONS)[0].weight[matches.inside]))
    assert weights[0] > 2 * weights[1] > 0
    assert weights[2] == 0


def test_weights_grow_with_parallax_and_texture(views: tuple[GridView, GridView]) -> None:
    first, second = views

    def weight(baseline: float, gradient: float) -> float:
        T = moved(baseline, 0.0, 0.0)
        matches = exact_matches(first, second, T)
        matches = replace(matches, gradients=matches.gradients / 1e4 * gradient)
        return float(np.median(triangulate(matches, first, second, T, OPTIONS)[0].weight[matches.inside]))

    assert weight(0.4, 100.0) > 2 * weight(0.2, 100.0) > 0
    assert weight(0.2, 100.0) > 2 * weight(0.2, 5.0) > 0
    assert weight(0.01, 100.0) == 0  # too little parallax to say anything


def test_the_middle_is_the_weighted_median() -> None:
    measured = MeasuredDepth(np.array([[0.1, 0.2, 5.0, 9.0]]), np.array([[1.0, 3.0, 1.0, 0.0]]))
    assert measured.middle() == pytest.approx(0.2)
    np.testing.assert_allclose(measured.less(0.2).log_shift, [[-0.1, 0.0, 4.8, 0.0]], atol=1e-12)
    assert MeasuredDepth(np.ones((2, 2)), np.zeros((2, 2))).middle() == 0.0


def test_dense_matches_of_a_bent_depth_lie_where_the_truth_puts_them(views: tuple[GridView, GridView]) -> None:
    first, second = views
    found = match_densely(replace(first, depth=bent(first.depth)), second, moved())
    good = found.inside & (found.round_trip < 0.3)
    assert good.mean() > 0.6
    miss = np.linalg.norm(found.place - expected_place(first, second.K, moved()), axis=-1)[good]
    assert np.median(miss) < 0.15 and (miss < 1.0).mean() > 0.95
