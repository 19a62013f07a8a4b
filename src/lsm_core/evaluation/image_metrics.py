"""How good a drawn view is: PSNR, SSIM and LPIPS as NoPoSplat and pixelSplat report them."""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.nn.lpips import Lpips
from lsm_core.nn.ssim import sample_ssim


def psnr(true: Tensor, drawn: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio [B] in dB of images [B, 3, H, W], both clamped to [0, 1]."""
    error = ((true.clamp(0, 1) - drawn.clamp(0, 1)) ** 2).flatten(1).mean(1)
    return -10 * torch.log10(error)


def ssim(true: Tensor, drawn: Tensor) -> Tensor:
    """Return the structural similarity [B] of images [B, 3, H, W]; what was drawn is not clamped."""
    return sample_ssim(true, drawn).to(true)


def lpips(network: Lpips, true: Tensor, drawn: Tensor) -> Tensor:
    """Return LPIPS [B] of images [B, 3, H, W] in [0, 1]; what was drawn is not clamped."""
    with torch.no_grad():
        return network(true, drawn)
