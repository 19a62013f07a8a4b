"""Pre-norm transformer layers whose heads have a width of their own, as pixelSplat's are stored.

Submodules carry the names of the released checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PreNorm(nn.Module):
    """A module and the norm before it."""

    def __init__(self, dim: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn


class WideSelfAttention(nn.Module):
    """Multi-head self attention; heads of `head_dim`, no bias before, one after."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Linear(dim, 3 * heads * head_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * head_dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Attend within x [B, N, dim]."""
        q, k, v = self.to_qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return self.to_out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        # The release has dropouts in the third and the last place; they do nothing here.
        self.net = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., dim] to [..., dim]."""
        return self.net(x)


class TransformerLayers(nn.Module):
    """Pairs of modules with their norms; how they are joined is up to who owns them."""

    def __init__(self, dim: int, pairs: Sequence[tuple[nn.Module, nn.Module]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.ModuleList(PreNorm(dim, fn) for fn in pair) for pair in pairs)

    def pairs(self) -> list[tuple[PreNorm, PreNorm]]:
        """Return the layers."""
        return [(pair[0], pair[1]) for pair in self.layers]  # type: ignore[index]


class FourierCode(nn.Module):
    """Sines and cosines of numbers in [0, 1] at octaves: order (number, octave, phase)."""

    def __init__(self, octaves: int) -> None:
        super().__init__()
        self.octaves = octaves

    def forward(self, values: Tensor) -> Tensor:
        """Map [..., D] to [..., D * octaves * 2]."""
        steps = torch.arange(self.octaves, device=values.device)
        angles = values[..., None] * (2 * torch.pi * 2.0 ** steps.to(values.dtype))
        return torch.stack((angles.sin(), (angles + torch.pi / 2).sin()), -1).flatten(-3)
