"""Losses of DUSt3R and LSM: what they do not see, and what they find."""

from __future__ import annotations

import pytest
import torch

from lsm_core.training.dust3r_losses import confidence_loss, mean_distance, optimal_scale
from lsm_core.training.lsm_loss import TargetView, feature_loss, photometric_loss


def two_views(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(2, 4, 5, 3, generator=generator) + 1 for _ in range(2)]


VALID = [torch.ones(2, 4, 5, dtype=torch.bool)] * 2


def test_the_regression_does_not_see_the_scale() -> None:
    points, sure = two_views(), [torch.full((2, 4, 5), 2.0)] * 2
    loss = confidence_loss([3 * p for p in points], sure, points, VALID)
    assert [float(d) for d in loss.distances] == pytest.approx([0, 0], abs=1e-6)
    assert float(loss.total) == pytest.approx(-2 * 0.2 * torch.tensor(2.0).log().item(), abs=1e-5)


def test_more_confidence_costs_more_where_the_points_are_wrong() -> None:
    points, wrong = two_views(), two_views(1)
    low, high = (
        confidence_loss(wrong, [torch.full((2, 4, 5), c)] * 2, points, VALID, alpha=0.01).total for c in (1.0, 3.0)
    )
    assert high > low


def test_masked_pixels_do_not_count() -> None:
    points = two_views()
    spoiled = [p.clone() for p in points]
    valid = [torch.ones(2, 4, 5, dtype=torch.bool) for _ in range(2)]
    spoiled[0][0, 1, 2], valid[0][0, 1, 2] = 1e6, False
    sure = [torch.ones(2, 4, 5)] * 2
    assert float(confidence_loss(spoiled, sure, points, valid).total) == pytest.approx(0, abs=1e-5)
    assert float(mean_distance(spoiled, valid)[0]) < 10


def test_the_scale_is_found_in_spite_of_outliers() -> None:
    truth = two_views()
    predicted = [0.4 * t for t in truth]
    predicted[0][:, 0, 0] = 50.0
    assert optimal_scale(predicted, truth, VALID).tolist() == pytest.approx([0.4, 0.4], rel=0.02)


def test_drawn_views_are_compared_by_colour_and_by_direction_of_features() -> None:
    image = torch.rand(3, 4, 4)
    features = torch.rand(8, 4, 4)
    view = TargetView(image + 0.25, 5 * features, image)
    assert float(photometric_loss([view])) == pytest.approx(0.25, abs=1e-5)
    assert float(feature_loss([view], lambda f: f, lambda _: features[None])) == pytest.approx(0, abs=1e-5)
    assert float(feature_loss([view], lambda f: f, lambda _: -features[None])) == pytest.approx(2, abs=1e-5)
