"""Differences of drawn and true colours that a system may weigh: MSE, L1, 1 - SSIM, LPIPS."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.nn.lpips import Lpips
from lsm_core.nn.ssim import sample_ssim
from lsm_core.training.render_losses import colour_loss


@dataclass(frozen=True)
class PhotometricWeights:
    """Weight of each term.

    Attributes:
        mse, l1, ssim, lpips: means over pixels and channels; `ssim` weighs 1 - SSIM.
        lpips_from_step: LPIPS counts from this step on.
    """

    mse: float = 1.0
    l1: float = 0.0
    ssim: float = 0.0
    lpips: float = 0.0
    lpips_from_step: int = 0


def photometric_terms(
    drawn: Tensor, true: Tensor, usable: Tensor, weights: PhotometricWeights, step: int, lpips: Lpips | None
) -> dict[str, Tensor]:
    """Return the weighted terms by name; only those that count.

    Args:
        drawn: [N, 3, H, W].
        true: [N, 3, H, W] in [0, 1].
        usable: [N, H, W] bool; elsewhere the true picture is not to be used, and nothing is asked of the drawn one.
        weights: of the terms.
        step: of the training.
        lpips: the network, where it is weighed.
    """
    true = torch.where(usable[:, None], true, drawn.detach())
    drawn = torch.where(usable[:, None], drawn, drawn.detach())
    terms: dict[str, Tensor] = {}
    if weights.mse:
        terms["mse"] = colour_loss(drawn, true, weights.mse)
    if weights.l1:
        terms["l1"] = weights.l1 * (drawn - true).abs().mean()
    if weights.ssim:
        terms["ssim"] = weights.ssim * (1 - sample_ssim(drawn, true).mean()).to(drawn)
    if weights.lpips and step >= weights.lpips_from_step:
        assert lpips is not None
        terms["lpips"] = weights.lpips * lpips(drawn, true).mean()
    return terms
