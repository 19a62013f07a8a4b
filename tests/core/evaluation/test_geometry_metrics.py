"""Distances between clouds against plain double loops and cases that are known."""

from __future__ import annotations

import numpy as np
import pytest

from lsm_core.errors import InputError
from lsm_core.evaluation.geometry_metrics import cloud_error


def test_distances_are_those_of_every_point_to_every_other() -> None:
    rng = np.random.default_rng(0)
    predicted, true = rng.normal(size=(70, 3)), rng.normal(size=(50, 3))
    distance = np.linalg.norm(predicted[:, None] - true[None], axis=2)
    found = cloud_error(predicted, true, threshold=0.5)
    assert found.accuracy_mean == pytest.approx(distance.min(1).mean())
    assert found.completeness_median == pytest.approx(np.median(distance.min(0)))
    assert found.precision == pytest.approx((distance.min(1) < 0.5).mean())
    assert found.recall == pytest.approx((distance.min(0) < 0.5).mean())
    assert found.chamfer == pytest.approx((distance.min(1).mean() + distance.min(0).mean()) / 2)


def test_half_of_a_plane_is_accurate_and_not_complete() -> None:
    plane = np.stack([*np.meshgrid(np.arange(20) * 0.1, np.arange(20) * 0.1), np.ones((20, 20))], -1).reshape(-1, 3)
    found = cloud_error(plane[plane[:, 0] < 0.95], plane)
    assert found.accuracy_mean == pytest.approx(0)
    assert found.recall == pytest.approx(0.5)
    assert found.f_score == pytest.approx(2 / 3)


def test_points_that_are_not_finite_do_not_count_and_nothing_is_refused() -> None:
    found = cloud_error(np.array([[0.0, 0, 0], [np.nan, 0, 0]]), np.zeros((1, 3)))
    assert found.predicted == 1 and found.accuracy_mean == 0
    with pytest.raises(InputError):
        cloud_error(np.full((2, 3), np.inf), np.zeros((1, 3)))
    with pytest.raises(InputError):
        cloud_error(np.zeros((2, 2)), np.zeros((1, 3)))
