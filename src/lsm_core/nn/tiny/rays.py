"""Camera rays: pixel grids, ray directions from intrinsics, their embedding, and the focal head."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def cell_centres(height: int, width: int, stride: int, like: Tensor) -> Tensor:
    """Return pixel coordinates [height, width, 2] (x, y) of the centres of ``stride``-sized cells.

    Pixel (0, 0) is the centre of the top-left pixel, so the first cell is centred at (stride - 1) / 2.
    """
    offset = (stride - 1) / 2.0
    y = torch.arange(height, device=like.device, dtype=torch.float32) * stride + offset
    x = torch.arange(width, device=like.device, dtype=torch.float32) * stride + offset
    yy, xx = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((xx, yy), dim=-1)


def rays_from_intrinsics(intrinsics: Tensor, pixels: Tensor) -> Tensor:
    """Return rays with z = 1.

    Args:
        intrinsics: [B, 3, 3], pixels.
        pixels: [h, w, 2] (x, y) in the same pixels.

    Returns:
        [B, h, w, 3] float32 in the optical frame; a point is ray * depth.
    """
    fx, fy = intrinsics[:, 0, 0], intrinsics[:, 1, 1]
    cx, cy = intrinsics[:, 0, 2], intrinsics[:, 1, 2]
    x = (pixels[None, ..., 0] - cx[:, None, None]) / fx[:, None, None]
    y = (pixels[None, ..., 1] - cy[:, None, None]) / fy[:, None, None]
    return torch.stack((x, y, torch.ones_like(x)), dim=-1)


class RayEmbedding(nn.Module):
    """Embed each token's place in the image and, where known, its viewing ray."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.position = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, dim))
        self.ray = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, dim))
        self.no_ray = nn.Parameter(torch.zeros(dim))

    def forward(self, rays: Tensor, known: Tensor) -> Tensor:
        """Return [B, h * w, dim].

        Args:
            rays: [B, h, w, 3] with z = 1 (any finite value where unknown).
            known: [B] bool, whether the intrinsics behind ``rays`` are real.
        """
        batch, h, w, _ = rays.shape
        v = torch.linspace(-1, 1, h, device=rays.device)
        u = torch.linspace(-1, 1, w, device=rays.device)
        vv, uu = torch.meshgrid(v, u, indexing="ij")
        place = torch.stack((uu, vv), dim=-1)
        waves = [place, (torch.pi * place).sin(), (torch.pi * place).cos()]
        waves += [(2 * torch.pi * place).sin(), (2 * torch.pi * place).cos()]
        position = self.position(torch.cat(waves, dim=-1).view(1, h * w, 10))
        xy = rays[..., :2].reshape(batch, h * w, 2)
        direction = self.ray(torch.cat((xy, xy * xy, (2 * xy).sin(), (2 * xy).cos()), dim=-1))
        direction = torch.where(known[:, None, None], direction, self.no_ray)
        return position + direction


class FocalHead(nn.Module):
    """Guess ln(f / image width) from pooled encoder features, for images without intrinsics."""

    def __init__(self, channels: int, default_log_focal: float) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(channels, 64), nn.ReLU(), nn.Linear(64, 1))
        self.default_log_focal = default_log_focal

    def forward(self, deepest: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B] ln(f / width)."""
        return self.mlp(deepest.mean(dim=(2, 3)))[:, 0] + self.default_log_focal


def intrinsics_from_log_focal(log_focal: Tensor, height: int, width: int) -> Tensor:
    """Return [B, 3, 3] with square pixels and the principal point at the image centre."""
    focal = log_focal.float().exp() * width
    zero, one = torch.zeros_like(focal), torch.ones_like(focal)
    cx, cy = one * ((width - 1) / 2), one * ((height - 1) / 2)
    rows = [focal, zero, cx, zero, focal, cy, zero, zero, one]
    return torch.stack(rows, dim=-1).view(-1, 3, 3)
