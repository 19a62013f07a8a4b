"""Terms of drawn and true colours: each is its definition, has its weight, and leaves out unusable pixels."""

from __future__ import annotations

import pytest
import torch

from lsm_core.nn.lpips import Lpips
from lsm_core.nn.ssim import sample_ssim
from lsm_core.training.photometric_terms import PhotometricWeights, photometric_terms
from lsm_core.training.render_losses import colour_loss

USABLE = torch.ones(2, 24, 24, dtype=torch.bool)


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    true = torch.rand(2, 3, 24, 24, generator=generator)
    return (true + 0.2 * torch.rand(true.shape, generator=generator)).requires_grad_(), true


def test_each_term_is_its_definition_times_its_weight() -> None:
    drawn, true = pictures()
    lpips = Lpips().requires_grad_(False)
    terms = photometric_terms(drawn, true, USABLE, PhotometricWeights(2.0, 3.0, 0.5, 0.05), 0, lpips)
    assert terms["mse"].item() == pytest.approx(colour_loss(drawn, true, 2.0).item())
    assert terms["l1"].item() == pytest.approx(3 * (drawn - true).abs().mean().item())
    assert terms["ssim"].item() == pytest.approx(0.5 * (1 - sample_ssim(drawn, true).mean().item()), rel=1e-5)
    assert terms["lpips"].item() == pytest.approx(0.05 * lpips(drawn, true).mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", ["mse", "l1", "ssim"])
def test_a_step_against_the_gradient_of_a_term_lowers_it(name: str) -> None:
    drawn, true = pictures()
    weights = PhotometricWeights(**{"mse": 0.0, name: 1.0})
    before = photometric_terms(drawn, true, USABLE, weights, 0, None)
    assert set(before) == {name}
    before[name].backward()
    assert drawn.grad is not None
    with torch.no_grad():
        moved = drawn - 0.01 * drawn.grad / drawn.grad.norm()
    assert photometric_terms(moved, true, USABLE, weights, 0, None)[name].item() < before[name].item()


def test_unusable_pixels_ask_for_nothing() -> None:
    drawn, true = pictures()
    usable = USABLE.clone()
    usable[:, :, :12] = False
    sum(photometric_terms(drawn, true, usable, PhotometricWeights(1.0, 1.0, 1.0), 0, None).values()).backward()
    assert drawn.grad is not None
    assert not drawn.grad[..., :12].any() and drawn.grad[..., 12:].any()


def test_lpips_waits_for_its_step() -> None:
    drawn, true = pictures()
    weights = PhotometricWeights(lpips=0.05, lpips_from_step=100)
    assert set(photometric_terms(drawn, true, USABLE, weights, 99, None)) == {"mse"}
    lpips = Lpips().requires_grad_(False)
    assert set(photometric_terms(drawn, true, USABLE, weights, 100, lpips)) == {"mse", "lpips"}
