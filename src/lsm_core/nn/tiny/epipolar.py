"""Depth hypotheses along epipolar lines, scored with the matching descriptors.

With the relative pose known, each first-guess depth and its multiples project to a line in the
other view. Reading the correlation along that line turns depth into a matching problem wherever
there is parallax (as in MVSplat and DepthSplat, with an estimated pose).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def log_offsets(bins: int, half_range: float, like: Tensor) -> Tensor:
    """Return [bins] offsets in log depth, symmetric about zero."""
    return torch.linspace(-half_range, half_range, bins, device=like.device, dtype=torch.float32)


def project(points: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """Project camera points [B, ..., 3] with [B, 3, 3]; return pixels [B, ..., 2] and depth [B, ...]."""
    z = points[..., 2]
    safe = z.clamp_min(1e-3)
    shape = (-1,) + (1,) * (points.dim() - 2)
    x = points[..., 0] / safe * intrinsics[:, 0, 0].view(shape) + intrinsics[:, 0, 2].view(shape)
    y = points[..., 1] / safe * intrinsics[:, 1, 1].view(shape) + intrinsics[:, 1, 2].view(shape)
    return torch.stack((x, y), dim=-1), z


def transform(T_a_b: Tensor, points_b: Tensor) -> Tensor:
    """Map points [B, ..., 3] of b into a with [B, 4, 4]."""
    flat = points_b.reshape(points_b.shape[0], -1, 3)
    moved = flat @ T_a_b[:, :3, :3].transpose(1, 2) + T_a_b[:, None, :3, 3]
    return moved.view_as(points_b)


def sampling_grid(cells: Tensor, height: int, width: int) -> Tensor:
    """Turn cell coordinates [..., 2] (x, y) into those of `grid_sample` with align_corners=False.

    Written by axis, without a tensor made of the sizes: an exported graph then takes any size.
    """
    return torch.stack(((2 * cells[..., 0] + 1) / width - 1, (2 * cells[..., 1] + 1) / height - 1), dim=-1)


def epipolar_profile(
    similarity: Tensor,
    log_depth: Tensor,
    rays: Tensor,
    T_other_self: Tensor,
    intrinsics_other: Tensor,
    offsets: Tensor,
    stride: int,
) -> tuple[Tensor, Tensor]:
    """Read the similarity of each cell along its epipolar line.

    Args:
        similarity: [B, N, N] rows own cells, columns the other view's cells; N = h * w.
        log_depth: [B, 1, h, w] first guess, ln of depth along z.
        rays: [B, h, w, 3] own rays with z = 1.
        T_other_self: [B, 4, 4] in the units of ``log_depth``.
        intrinsics_other: [B, 3, 3] of the other view, in full-grid pixels.
        offsets: [K] log-depth hypotheses around the first guess.
        stride: pixels per cell.

    Returns:
        profile [B, K, h, w] similarity (0 outside the other view) and visible [B, K, h, w] in {0, 1}.
    """
    batch, _, h, w = log_depth.shape
    depth = (log_depth.float() + offsets.view(1, -1, 1, 1)).exp()  # [B, K, h, w]
    points = rays[:, None].float() * depth[..., None]
    pixels, z = project(transform(T_other_self, points), intrinsics_other)
    grid = sampling_grid((pixels - (stride - 1) / 2.0) / stride, h, w)
    visible = (grid.abs() <= 1).all(dim=-1) & (z > 1e-3)
    lines = grid.permute(0, 2, 3, 1, 4).reshape(batch * h * w, 1, -1, 2).clamp(-2, 2)
    maps = similarity.float().reshape(batch * h * w, 1, h, w)
    profile = F.grid_sample(maps, lines, padding_mode="border", align_corners=False)
    profile = profile.view(batch, h, w, -1).permute(0, 3, 1, 2)
    mask = visible.to(profile.dtype)
    return profile * mask, mask
