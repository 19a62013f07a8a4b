"""How far Gaussians drawn from a view are from what was seen there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lsm_core.nn.ssim import moments, ssim_terms
from lsm_core.render import render
from lsm_core.training.gaussian_config import GaussianTrainConfig
from lsm_core.training.gaussian_triples import Target, Visit
from lsm_core.training.render_losses import colour_loss
from lsm_core.types import Gaussians

FLOOR = 1e-4  # mean squared error (40 dB) below which the logarithm gains little more
PLAIN = 100.0


def photometric_loss(gaussians: Gaussians, visit: Visit, config: GaussianTrainConfig) -> tuple[Tensor, float]:
    """Return the loss of one pair's Gaussians, and the mean squared error of the third view.

    A view counts wherever it can be known, whether something is drawn there or not: leaving a place empty costs
    what black costs.
    """
    loss, error = _view_loss(gaussians, visit.third, config)
    if config.given_views > 0:
        given, _ = _view_loss(gaussians, visit.triple.given[visit.given], config)
        loss = loss + config.given_views * given
    return loss, float(error.detach())


def _view_loss(gaussians: Gaussians, target: Target, config: GaussianTrainConfig) -> tuple[Tensor, Tensor]:
    """Return the loss of one view and its mean squared error; both zero where nothing can be known."""
    if not bool(target.seen.any()):
        return gaussians.means.sum() * 0.0, gaussians.means.new_zeros(())
    drawn = render(gaussians, target.camera, picks=False).rgb
    error = colour_loss(drawn[target.seen], target.image[target.seen])
    loss = (error + FLOOR).log() if config.relative else PLAIN * error
    if config.structure > 0:
        loss = loss + config.structure * (1.0 - _likeness(drawn, target))
    return loss, error


def mean_psnr(errors: Sequence[float]) -> float:
    """Return the mean over images, in dB, of mean squared errors."""
    return float(-10.0 * torch.tensor(errors, dtype=torch.float64).clamp_min(1e-10).log10().mean())


def _likeness(drawn: Tensor, target: Target) -> Tensor:
    """Return the SSIM; where pixels do not count, the target stands in for what is drawn."""
    shown = torch.where(target.seen[..., None], drawn, target.image)
    first, second = (moments(image.permute(2, 0, 1)) for image in (shown, target.image))
    return ssim_terms(first, second).ssim
