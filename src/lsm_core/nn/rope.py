"""Rotary position embedding in two dimensions (RoPE: Su et al. 2021, arXiv:2104.09864; 2D as in CroCo v2)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor


def grid_positions(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Return the (y, x) of each token of a row-major grid, [height * width, 2] int64."""
    y = torch.arange(height, device=device)
    x = torch.arange(width, device=device)
    return torch.cartesian_prod(y, x)


def rope_tables(positions: Tensor, head_dim: int, base: float = 100.0) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the rotation of each token, shared by all layers of a pass.

    The first half of a head turns with y, the second with x. Within a half of size D, frequency i is base^(-2i/D),
    and elements i and i + D/2 form a pair.

    Args:
        positions: [B, N, 2] integers (y, x).
        head_dim: size of a head, divisible by 4.
        base: of the frequencies.

    Returns:
        cos, sin: [B, 1, N, head_dim] float32.
    """
    half = head_dim // 2
    steps = torch.arange(0, half, 2, device=positions.device, dtype=torch.float32)
    frequencies = base ** (-steps / half)
    angles = positions.to(torch.float32)[..., None] * frequencies  # [B, N, 2, half / 2]
    angles = torch.cat((angles, angles), -1).flatten(-2)[:, None]
    return angles.cos(), angles.sin()


@lru_cache(maxsize=64)
def grid_rope_tables(
    height: int, width: int, head_dim: int, base: float, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the tables of a row-major grid, [1, 1, height * width, head_dim]; made once per size and device.

    They must not be changed in place.
    """
    with torch.inference_mode(False):  # they outlive the pass that asks first, and may then serve training
        return rope_tables(grid_positions(height, width, device)[None], head_dim, base)


def apply_rope(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Turn queries or keys [B, heads, N, head_dim] by their tables; the dtype of x is kept."""
    cos, sin = (table.to(x.dtype) for table in tables)
    a, b, c, d = x.chunk(4, -1)
    turned = torch.cat((-b, a, -d, c), -1)
    return x * cos + turned * sin
