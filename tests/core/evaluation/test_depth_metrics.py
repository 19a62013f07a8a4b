"""Depth and pointmap errors against values computed by hand."""

from __future__ import annotations

import math

import pytest
import torch

from lsm_core.evaluation.depth_metrics import depth_error, pointmap_error


def test_errors_after_median_alignment() -> None:
    true = torch.tensor([[1.0, 2.0, 4.0, 0.0]])
    predicted = torch.tensor([[3.0, 4.0, 8.0, 99.0]])  # twice too large, and the first wrong by half
    error = depth_error(predicted, true)
    assert error.scale == pytest.approx(2)
    assert error.absrel == pytest.approx((0.5 + 0 + 0) / 3)
    assert error.delta == pytest.approx(2 / 3)
    assert error.pixels == 3


def test_a_constant_is_scored_by_the_spread_of_the_truth() -> None:
    true = torch.tensor([[1.0, 2.0, 3.0]])
    error = depth_error(torch.ones_like(true), true)
    assert error.absrel == pytest.approx((1.0 + 0 + 1 / 3) / 3)


def test_nothing_to_compare_is_not_a_perfect_score() -> None:
    error = depth_error(torch.ones(2, 2), torch.zeros(2, 2))
    assert error.pixels == 0
    assert math.isnan(error.absrel)


def test_negative_depth_is_wrong_not_left_out() -> None:
    true = torch.full((1, 4), 2.0)
    error = depth_error(torch.tensor([[2.0, 2.0, 2.0, -2.0]]), true)
    assert error.delta == pytest.approx(0.75)
    assert error.absrel == pytest.approx(0.5)
    assert depth_error(-true, true).delta == 0.0


def test_one_scale_for_both_views_of_a_pointmap() -> None:
    true = [torch.rand(5, 6, 3) + 1, torch.rand(5, 6, 3) + 1]
    assert pointmap_error([3 * t for t in true], true, 1) == pytest.approx(0, abs=1e-6)
    inconsistent = pointmap_error([true[0].repeat(3, 1, 1), 2 * true[1]], [true[0].repeat(3, 1, 1), true[1]], 1)
    assert inconsistent == pytest.approx(1.0, abs=1e-5)


def test_unknown_points_do_not_count() -> None:
    true = [torch.ones(2, 2, 3), torch.zeros(2, 2, 3)]
    assert math.isnan(pointmap_error(true, true, 1))
