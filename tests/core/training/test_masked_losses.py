"""Losses on what the input views have seen: means are means, unless the released code's figures are asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.nn.lpips import Lpips
from lsm_core.training.dust3r_losses import confidence_loss
from lsm_core.training.masked_losses import DepthView, MaskedLosses, loss_mask, masked_losses


def pair(views: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn, true = (torch.rand(2, views, 3, 16, 20, generator=generator) for _ in range(2))
    return drawn, true, torch.rand(2, views, 16, 20, generator=generator) > 0.4


def absolute(true: Tensor, drawn: Tensor) -> Tensor:
    return (true - drawn).abs().mean(1, keepdim=True)


def plain_mse(drawn: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    return (drawn - true).square().permute(0, 1, 3, 4, 2)[mask].mean()


@pytest.mark.parametrize("views", [1, 2, 3])
def test_the_mean_is_over_pixels_and_channels_of_the_mask(views: int) -> None:
    drawn, true, mask = pair(views)
    found = masked_losses(drawn, true, mask, absolute)
    torch.testing.assert_close(found.mse, plain_mse(drawn, true, mask))
    torch.testing.assert_close(found.total, found.mse + 0.25 * found.lpips)
    torch.testing.assert_close(found.lpips, (drawn - true).abs().mean(2)[mask].mean())


def test_the_released_average_is_three_times_too_large_for_one_view() -> None:
    drawn, true, mask = pair(1)
    right, released = masked_losses(drawn, true, mask), masked_losses(drawn, true, mask, released=True)
    torch.testing.assert_close(released.mse, 3 * right.mse)
    torch.testing.assert_close(released.ssim, 3 * right.ssim)
    assert float(right.ssim) <= 1


def test_the_released_average_mixes_up_views_and_channels_and_knows_no_other_number_of_views() -> None:
    drawn, true, mask = pair(3)
    right, released = masked_losses(drawn, true, mask), masked_losses(drawn, true, mask, released=True)
    assert float(released.mse) < 2.5 * float(right.mse)
    with pytest.raises(InputError, match="three"):
        masked_losses(*pair(2), released=True)


def test_gradient_reaches_masked_pixels_only() -> None:
    drawn, true, mask = pair(2)
    drawn.requires_grad_()
    masked_losses(drawn, true, mask, absolute).total.backward()
    assert drawn.grad is not None
    touched = drawn.grad.abs().sum(2) > 0
    assert torch.equal(touched, mask)


def test_without_perceptual_map_and_without_mask() -> None:
    drawn, true, mask = pair()
    found = masked_losses(drawn, true, mask, apply_mask=False, average_over_mask=False)
    assert isinstance(found, MaskedLosses) and float(found.lpips) == 0
    torch.testing.assert_close(found.total, (drawn - true).square().mean())


def test_the_real_perceptual_map_serves_and_passes_gradient() -> None:
    torch.manual_seed(0)
    network = Lpips().eval().requires_grad_(False)
    drawn, true, mask = pair(1)
    drawn.requires_grad_()
    found = masked_losses(drawn, true, mask, network.difference_map)
    assert float(found.lpips.detach()) > 0
    found.lpips.backward()
    assert drawn.grad is not None and float(drawn.grad[~mask[:, :, None].expand_as(drawn)].abs().max()) == 0


def plane(depth: float, x: float) -> DepthView:
    """A wall, seen by a camera `x` metres to the right."""
    pose = torch.eye(4)[None].clone()
    pose[0, 0, 3] = x
    K = torch.tensor([[[20.0, 0, 10], [0, 20, 8], [0, 0, 1]]])
    return DepthView(torch.full((1, 16, 20), depth), K, pose)


def test_a_pixel_counts_where_a_context_view_saw_its_point() -> None:
    target = plane(2.0, 0.5)  # pixels of the context are 5 further to the right
    mask = loss_mask([target], [plane(2.0, 0.0)])
    assert mask.shape == (1, 1, 16, 20)
    assert mask[0, 0, 1:, :15].all() and not mask[..., 15:].any()
    assert not loss_mask([target], [plane(2.2, 0.0)]).any()  # something else is there
    holes = DepthView(torch.zeros(1, 16, 20), target.K, target.T_world_cam)
    assert not loss_mask([holes], [plane(2.0, 0.0)]).any()


def test_metric_samples_count_their_scale_and_sky_counts_two() -> None:
    generator = torch.Generator().manual_seed(1)
    truth = [torch.rand(2, 4, 5, 3, generator=generator) + 1 for _ in range(2)]
    valid = [torch.ones(2, 4, 5, dtype=torch.bool) for _ in range(2)]
    sure = [torch.ones(2, 4, 5) for _ in range(2)]
    doubled = [2 * t for t in truth]
    scaled = confidence_loss(doubled, sure, truth, valid, metric=torch.tensor([True, False]))
    assert scaled.pixels[0][:20].min() > 0.3 and scaled.pixels[0][20:].max() < 1e-5
    valid[0][:, 0] = False
    sky = [~v for v in valid]
    seen = confidence_loss(truth, sure, truth, valid, sky=sky)
    torch.testing.assert_close(seen.distances[0], torch.tensor(2 * 10 / 40), atol=1e-5, rtol=0)
    assert float(seen.distances[1]) < 1e-5
