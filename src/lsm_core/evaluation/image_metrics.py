"""How good a drawn view is: PSNR, SSIM and LPIPS as the papers report them, whole or masked."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.evaluation.switches import Switches
from lsm_core.nn.lpips import Lpips
from lsm_core.nn.ssim import full_ssim_map, population_ssim, sample_ssim

SMALLEST_ERROR = 1e-10  # 100 dB


@dataclass(frozen=True)
class ImageError:
    """How a drawn view differs from its image.

    Attributes:
        psnr: dB.
        ssim: 1 for equal images.
        lpips: 0 for equal images, NaN where its weights are not installed.
        counted: share of the pixels that counted.
    """

    psnr: float
    ssim: float
    lpips: float = math.nan
    counted: float = 1.0


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


def image_error(
    true: Tensor, drawn: Tensor, switches: Switches, network: Lpips | None = None, mask: Tensor | None = None
) -> ImageError:
    """Compare a drawn view with its image as the switches say.

    Args:
        true, drawn: [H, W, 3] float in [0, 1].
        switches: eight bits, kind of SSIM, what a mask does.
        network: LPIPS; without it that figure is NaN.
        mask: [H, W] bool, the pixels that count; None for all.

    Returns:
        NaN throughout where no pixel counts.
    """
    with torch.no_grad():
        x, y = (_planes(image, switches.eight_bit) for image in (true, drawn))
        if mask is None:
            whole = population_ssim if switches.ssim == "population" else sample_ssim
            distance = math.nan if network is None else float(network(x, y))
            return ImageError(_psnr(_squared(x, y, switches).mean()), float(whole(x, y)), distance)
        share = float(mask.double().mean())
        if share == 0:
            return ImageError(math.nan, math.nan, math.nan, 0.0)
        return _masked(x * mask, y * mask, mask, switches, network, share)


def _masked(
    x: Tensor, y: Tensor, mask: Tensor, switches: Switches, network: Lpips | None, share: float
) -> ImageError:
    """Compare images that are black outside a mask: over the whole picture, or over the mask's pixels."""
    if not switches.mask_averages:
        whole = population_ssim if switches.ssim == "population" else sample_ssim
        distance = math.nan if network is None else float(network(x, y))
        return ImageError(_psnr(_squared(x, y, switches).mean()), float(whole(x, y)), distance, share)
    divisor = mask.sum() * (1 if switches.released_mask else 3)
    distance = math.nan if network is None else float((network.difference_map(x, y) * mask).sum() / mask.sum())
    alike = float((full_ssim_map(x, y) * mask).sum() / divisor)
    return ImageError(_psnr((_squared(x, y, switches) * mask).sum() / divisor), alike, distance, share)


def _squared(x: Tensor, y: Tensor, switches: Switches) -> Tensor:
    if switches.clamped:
        x, y = x.clamp(0, 1), y.clamp(0, 1)
    return (x - y).double().square()


def _psnr(error: Tensor) -> float:
    return -10 * math.log10(max(float(error), SMALLEST_ERROR))


def _planes(image: Tensor, eight_bit: bool) -> Tensor:
    """Return [1, 3, H, W]; in 8 bits the rest is cut off, not rounded, as the released code writes PNG files."""
    planes = image.detach().float().permute(2, 0, 1)[None]
    return (planes.clamp(0, 1) * 255).floor() / 255 if eight_bit else planes
