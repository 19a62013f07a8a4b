"""LSM's head: what becomes of each number of its one linear layer."""

from __future__ import annotations

import pytest
import torch

from lsm_core.nn.gaussian_head import GaussianHead, merge_points, point_spacing
from lsm_core.nn.pixel_gaussians import PixelGaussians
from lsm_core.sh import C0

SIDE, FEATURES = 6, 4


def head_of(bias: dict[int, float]) -> GaussianHead:
    """Return a head that says the same of every pixel: zeros but for a few places."""
    head = GaussianHead(3, FEATURES)
    with torch.no_grad():
        head.gaussian_proj.weight.zero_()
        head.gaussian_proj.bias.zero_()
        for place, value in bias.items():
            head.gaussian_proj.bias[place] = value
    return head.eval()


@torch.inference_mode()
def answer(head: GaussianHead, outlier: float = 1.0) -> list[PixelGaussians]:
    """Return what the head makes of two views of a unit grid of points; image 0 is grey, image 1 red."""
    y, x = torch.meshgrid(torch.arange(float(SIDE)), torch.arange(float(SIDE)), indexing="ij")
    first = torch.stack((x, y, torch.full_like(x, 3.0)), -1)
    first[0, 0] *= outlier
    second = torch.stack((x + SIDE, y, torch.full_like(x, 3.0)), -1)
    images = [torch.zeros(1, 3, SIDE, SIDE) for _ in range(2)]
    images[1][0, 0] = 1.0  # red 1, green and blue 0.5
    residuals = [torch.full((1, FEATURES, SIDE, SIDE), 0.25 * (v + 1)) for v in range(2)]
    merged = merge_points([first[None], second[None]], images)
    return head(torch.zeros(2 * SIDE * SIDE, 3), merged, images, residuals)


def test_means_are_the_points_and_scales_their_spacing() -> None:
    views = answer(head_of({}))
    assert views[1].means[0, 2, 3].tolist() == pytest.approx([3 + SIDE, 2, 3])
    torch.testing.assert_close(views[0].scales[0, 2, 2], torch.ones(3))  # exp(0) times a spacing of 1


def test_scales_are_multiplied_and_kept_near_the_median_spacing() -> None:
    grown = answer(head_of({0: 0.5, 1: 9.0, 2: -9.0}))
    torch.testing.assert_close(grown[0].scales[0, 2, 2], torch.tensor([1.6487213, 3.0, 0.1]))
    lonely = answer(head_of({}), outlier=50.0)[0].scales[0]
    assert lonely[0, 0].tolist() == pytest.approx([3.0] * 3) and lonely[3, 3].tolist() == pytest.approx([1.0] * 3)


def test_rotations_are_unit_quaternions_of_numbers_3_to_6_in_the_order_that_is_drawn() -> None:
    found = answer(head_of({3: 2.0, 6: 2.0}))[0].rotations[0, 1, 1]
    torch.testing.assert_close(found, torch.tensor([0.5**0.5, 0, 0, 0.5**0.5]))


def test_opacity_colour_and_features() -> None:
    views = answer(head_of({7: 1.0, 8: 0.3, 8 + 3: 8.0, 56: 2.0}))
    assert float(views[0].opacities[0, 0, 0]) == pytest.approx(torch.tensor(1.0).sigmoid().item())
    colour = 0.5 + C0 * views[1].sh[0, 0, 0, 0]  # the pixel's own, and what is added to it
    assert colour.tolist() == pytest.approx([1.0 + C0 * 0.3, 0.5, 0.5], abs=1e-5)
    assert float(views[0].sh[0, 0, 0, 1, 0]) == pytest.approx(8.0 * 0.125)  # higher degrees are damped
    assert views[0].features[0, 0, 0].tolist() == pytest.approx([2.25, 0.25, 0.25, 0.25])
    assert views[1].features[0, 0, 0].tolist() == pytest.approx([2.5, 0.5, 0.5, 0.5])


def test_spacing_is_to_the_three_nearest_others_and_coincident_points_count() -> None:
    points = torch.tensor([[[0.0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 2, 0], [50, 0, 0]]])
    expected = ((0 + 1 + 4) / 3) ** 0.5
    assert float(point_spacing(points)[0, 0]) == pytest.approx(expected)
    assert float(point_spacing(torch.zeros(1, 5, 3))[0, 0]) == pytest.approx(1e-7**0.5)
