"""Structural similarity (Wang et al. 2004) with its three terms apart, on a Gaussian window without padding."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW, SIGMA = 11, 1.5
C1, C2 = 0.01**2, 0.03**2  # of images in [0, 1]
TERM_MAX = 0.98  # contrast and structure: what is alike enough pulls no more
SMALLEST = torch.finfo(torch.float32).eps ** 2
SAMPLES = WINDOW * WINDOW


@dataclass(frozen=True, eq=False)
class Moments:
    """Local mean and variance [..., H - 10, W - 10] of an image [..., H, W]; a fixed one needs them once."""

    image: Tensor
    mean: Tensor
    variance: Tensor


@dataclass(frozen=True, eq=False)
class SsimTerms:
    """Means over all pixels; `ssim` is the mean of the product, the others are clamped before."""

    ssim: Tensor
    brightness: Tensor
    contrast: Tensor
    structure: Tensor


def moments(image: Tensor) -> Moments:
    """Return the local moments of an image [..., H, W] in [0, 1] with sides of 11 or more."""
    mean = window_mean(image)
    return Moments(image, mean, (window_mean(image * image) - mean * mean).clamp(min=SMALLEST))


def structure(first: Moments, second: Moments) -> Tensor:
    """Return the mean structure term alone: how alike two images vary, whatever their brightness and contrast."""
    return _structure(first, second).clamp(max=TERM_MAX).mean()


def ssim_terms(first: Moments, second: Moments) -> SsimTerms:
    """Compare two images of one shape."""
    m1, m2, v1, v2 = first.mean, second.mean, first.variance, second.variance
    brightness = (2 * m1 * m2 + C1) / (m1 * m1 + m2 * m2 + C1)
    contrast = (2 * v1.sqrt() * v2.sqrt() + C2) / (v1 + v2 + C2)
    alike = _structure(first, second)
    return SsimTerms(
        ssim=(brightness * contrast * alike).mean(),
        brightness=brightness.mean(),
        contrast=contrast.clamp(max=TERM_MAX).mean(),
        structure=alike.clamp(max=TERM_MAX).mean(),
    )


def sample_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the SSIM [B] of images [B, C, H, W] as scikit-image gives it with a Gaussian window.

    Variances are those of samples; the border that the window does not fit into is left out; float64.
    """
    return _ssim_map(first.double(), second.double(), SAMPLES / (SAMPLES - 1)).flatten(1).mean(1)


def population_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Return the SSIM [B] of images [B, C, H, W] as torchmetrics gives it.

    Variances are those of populations; all pixels count, and beyond the border the image goes on mirrored about the
    outermost pixel.
    """
    reach = WINDOW // 2
    x, y = (F.pad(image.double(), (reach,) * 4, mode="reflect") for image in (first, second))
    return _ssim_map(x, y, 1.0).flatten(1).mean(1)


def full_ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Return the SSIM [B, C, H, W] of each pixel, float64; beyond the border the image goes on mirrored."""
    x, y = (_mirrored_border(image.double()) for image in (first, second))
    return _ssim_map(x, y, SAMPLES / (SAMPLES - 1))


def _mirrored_border(image: Tensor) -> Tensor:
    """Return [..., H + 10, W + 10]: the outermost pixels are repeated first, as scipy's `reflect` does."""
    reach = WINDOW // 2
    for axis in (-2, -1):
        size = image.shape[axis]
        at = torch.arange(-reach, size + reach, device=image.device) % (2 * size)
        image = image.index_select(axis, torch.minimum(at, 2 * size - 1 - at))
    return image


def _ssim_map(x: Tensor, y: Tensor, correction: float) -> Tensor:
    """Return the SSIM of each pixel; variances and covariance are multiplied by the correction."""
    mx, my = window_mean(x), window_mean(y)
    vx, vy = (correction * (window_mean(a * a) - m * m) for a, m in ((x, mx), (y, my)))
    covariance = correction * (window_mean(x * y) - mx * my)
    return (2 * mx * my + C1) * (2 * covariance + C2) / ((mx * mx + my * my + C1) * (vx + vy + C2))


def window_mean(image: Tensor) -> Tensor:
    """Return the Gaussian-weighted mean [..., H - 10, W - 10] around each pixel of [..., H, W]."""
    at = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-0.5 * (at / SIGMA) ** 2)
    kernel = (weights / weights.sum()).to(image)
    flat = image.reshape(-1, 1, *image.shape[-2:])
    across = F.conv2d(F.conv2d(flat, kernel[None, None, None, :]), kernel[None, None, :, None])
    return across.reshape(*image.shape[:-2], *across.shape[-2:])


def _structure(first: Moments, second: Moments) -> Tensor:
    """Return the structure term per pixel; the covariance is kept within what the variances allow."""
    deviation1, deviation2 = first.variance.sqrt(), second.variance.sqrt()
    covariance = window_mean(first.image * second.image) - first.mean * second.mean
    most = torch.sqrt(first.variance * second.variance)
    covariance = torch.sign(covariance) * torch.minimum(most, covariance.abs())
    return (covariance + C2 / 2) / (deviation1 * deviation2 + C2 / 2)
