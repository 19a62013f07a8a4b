"""A fixed scene of Gaussians to time rasterizers with: two pixel-aligned views of a bumpy wall."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lsm_core.sh import C0
from lsm_core.types import Camera, Gaussians

BASELINE, DEPTH = 0.2, 3.0  # scene units
SPREAD = 0.35  # standard deviation of the logarithm of the sizes
OPACITIES = (0.1, 0.95)


def pixel_aligned_scene(size: int, feature_dim: int = 64, seed: int = 0) -> Gaussians:
    """Return 2 size^2 Gaussians: one per pixel of two views side by side, in the frame of the first.

    Sizes have a median of 1 px, opacities are uniform in 0.1 to 0.95, colours are constant over directions (SH
    degree 0), features are unit normal.

    Args:
        size: of both square views, pixels.
        feature_dim: D; 0 for none.
        seed: of everything that is drawn by lot.
    """
    generator = torch.Generator().manual_seed(seed)
    focal = 0.9 * size
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    rays = torch.stack([(columns - (size - 1) / 2) / focal, (rows - (size - 1) / 2) / focal], -1).reshape(-1, 2)
    views = []
    for offset in (0.0, BASELINE):
        depth = _wall_depth(rays + torch.tensor([offset / DEPTH, 0.0]))
        points = torch.cat([rays * depth[:, None], depth[:, None]], 1)
        views.append(points + torch.tensor([offset, 0.0, 0.0]))
    means = torch.cat(views)
    count = len(means)
    spread = torch.exp(SPREAD * torch.randn(count, 3, generator=generator))
    low, high = OPACITIES
    return Gaussians(
        means=means,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1),
        scales=spread * means[:, 2:] / focal,
        opacities=low + (high - low) * torch.rand(count, generator=generator),
        sh=(torch.rand(count, 1, 3, generator=generator) - 0.5) / C0,
        features=torch.randn(count, feature_dim, generator=generator) if feature_dim else None,
    )


def middle_camera(size: int) -> Camera:
    """Return the view half way between the two the Gaussians belong to, size x size pixels."""
    focal, centre = 0.9 * size, (size - 1) / 2
    T_scene_cam = torch.eye(4)
    T_scene_cam[0, 3] = BASELINE / 2
    K = torch.tensor([[focal, 0.0, centre], [0.0, focal, centre], [0.0, 0.0, 1.0]])
    return Camera(K, size, size, T_scene_cam)


def _wall_depth(rays: Tensor) -> Tensor:
    """Return z-depth [P] along rays [P, 2] of a wall with bumps."""
    x, y = rays.unbind(1)
    bumps = torch.sin(2 * math.pi * 2.0 * x) * torch.cos(2 * math.pi * 1.5 * y)
    return DEPTH * (1 + 0.1 * bumps + 0.1 * x)
