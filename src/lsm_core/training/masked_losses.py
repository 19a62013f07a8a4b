"""Splatt3R's training losses (Smart et al. 2024, arXiv:2408.13912, section 3.3): on what has been seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.nn.ssim import full_ssim_map, sample_ssim

MIN_DEPTH = 1e-6
ATOL_M, RTOL = 0.1, 1e-5
LPIPS_WEIGHT = 0.25

# (true, drawn) images [N, 3, H, W] in [0, 1] -> difference of each pixel [N, 1, H, W]
PerceptualMap = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class DepthView:
    """Known views of a batch.

    Attributes:
        depth: [B, H, W] metres along z, 0 where unknown.
        K: [B, 3, 3] pixels.
        T_world_cam: [B, 4, 4].
    """

    depth: Tensor
    K: Tensor
    T_world_cam: Tensor


@dataclass(frozen=True, eq=False)
class MaskedLosses:
    """Scalars: the weighted sum that is trained on, and its parts; `ssim` is a similarity and not part of it."""

    total: Tensor
    mse: Tensor
    lpips: Tensor
    ssim: Tensor


def loss_mask(
    targets: Sequence[DepthView],
    contexts: Sequence[DepthView],
    atol: float = ATOL_M,
    rtol: float = RTOL,
    min_depth: float = MIN_DEPTH,
) -> Tensor:
    """Say which pixels of target views the context views have seen.

    A pixel with a depth counts if its point falls into some context view and its depth there is some context view's
    depth.

    Args:
        targets: V views.
        contexts: the views that the scene is predicted from.
        atol, rtol: how far depths may differ, metres and share.
        min_depth: metres; less is no depth.

    Returns:
        [B, V, H, W] bool.
    """
    return torch.stack([_seen(t, contexts, atol, rtol) & (t.depth > min_depth) for t in targets], 1)


def _seen(target: DepthView, contexts: Sequence[DepthView], atol: float, rtol: float) -> Tensor:
    points = _world_points(target)
    inside = torch.zeros_like(target.depth, dtype=torch.bool)
    close = torch.zeros_like(inside)
    for context in contexts:
        height, width = context.depth.shape[1:]
        T_cam_world = torch.linalg.inv(context.T_world_cam)
        seen = points @ T_cam_world[:, None, :3, :3].transpose(-1, -2) + T_cam_world[:, None, None, :3, 3]
        z = seen[..., 2]
        xy = (seen @ context.K[:, None].transpose(-1, -2))[..., :2] / z[..., None]
        size = xy.new_tensor([width, height])
        inside |= ((xy > 0) & (xy < size)).all(-1)
        there = F.grid_sample(context.depth[:, None], xy / size * 2 - 1, align_corners=False)[:, 0]
        close |= (z - there).abs() <= atol + rtol * there.abs()
    return inside & close


def _world_points(view: DepthView) -> Tensor:
    """Return [B, H, W, 3]; a pixel is at its index, as the data sets' depth maps have it."""
    height, width = view.depth.shape[1:]
    y, x = torch.meshgrid(
        torch.arange(height, device=view.depth.device), torch.arange(width, device=view.depth.device), indexing="ij"
    )
    pixels = torch.stack((x, y, torch.ones_like(x)), -1).to(view.depth)
    in_camera = (pixels @ torch.linalg.inv(view.K)[:, None].transpose(-1, -2)) * view.depth[..., None]
    return in_camera @ view.T_world_cam[:, None, :3, :3].transpose(-1, -2) + view.T_world_cam[:, None, None, :3, 3]


def masked_losses(
    drawn: Tensor,
    true: Tensor,
    mask: Tensor,
    perceptual: PerceptualMap | None = None,
    *,
    apply_mask: bool = True,
    average_over_mask: bool = True,
    mse_weight: float = 1.0,
    lpips_weight: float = LPIPS_WEIGHT,
    released: bool = False,
) -> MaskedLosses:
    """Compare drawn views with true ones where the mask holds.

    Args:
        drawn, true: [B, V, 3, H, W]; true in [0, 1].
        mask: [B, V, H, W] bool.
        perceptual: LPIPS as a map (`nn.lpips.Lpips.difference_map`); without it that term is 0.
        apply_mask: both images are black outside the mask before they are compared.
        average_over_mask: means are over the pixels of the mask, else over all.
        mse_weight, lpips_weight: of the total.
        released: average over the mask as the released code does, for comparisons with its figures. It divides the
            sum over three channels by the number of pixels, so MSE and SSIM are three times the mean (PSNR is
            4.77 dB lower); and with three views it multiplies the error of channel c of every view by view c's
            mask, too.

    Raises:
        InputError: `released` with another number of views than one or three, which has no meaning there.
    """
    if released and drawn.shape[1] not in (1, 3):
        raise InputError(
            f"The released average takes one or three views, got {drawn.shape[1]}.", "Leave out released=True."
        )
    if apply_mask:
        drawn, true = (image * mask[:, :, None] for image in (drawn, true))
    error = (drawn - true).square()
    flat = [image.flatten(0, 1) for image in (true, drawn)]
    different = torch.zeros_like(error[:, :, :1]).flatten(0, 1) if perceptual is None else perceptual(*flat)
    if average_over_mask:
        weight, count = mask.to(error), mask.sum()
        channels = 1 if released else drawn.shape[2]
        mse = (error * (weight[:, None] if released else weight[:, :, None])).sum() / (channels * count)
        own = weight.flatten(0, 1)[:, None]
        lpips = (different * own).sum() / count
        ssim = (full_ssim_map(*flat) * own).sum() / (channels * count)
    else:
        mse, lpips, ssim = error.mean(), different.mean(), sample_ssim(*flat).mean()
    return MaskedLosses(mse_weight * mse + lpips_weight * lpips, mse, lpips, ssim)
