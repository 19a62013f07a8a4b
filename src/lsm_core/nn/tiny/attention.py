"""Transformer blocks of lsm-tiny: self-attention in a view, cross-attention to the other view."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax attention over [B, heads, N, c].

    The fused CPU kernel has a backward pass four times slower than the plain products at these
    sizes, so training on a CPU writes them out, in float32; everything else uses the fused kernel.
    """
    if q.is_cpu and q.requires_grad:
        with torch.autocast("cpu", enabled=False):
            weights = (q.float() * q.shape[-1] ** -0.5) @ k.float().transpose(-1, -2)
            return (weights.softmax(dim=-1) @ v.float()).to(v.dtype)
    return F.scaled_dot_product_attention(q, k, v)


class Attention(nn.Module):
    """Multi-head attention."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Attend from ``x`` [B, N, C] to ``context`` [B, M, C]; return [B, N, C]."""
        batch, n, dim = x.shape
        q = self.query(x).view(batch, n, self.heads, -1).transpose(1, 2)
        kv = self.key_value(context).view(batch, context.shape[1], 2, self.heads, -1)
        k, v = kv.permute(2, 0, 3, 1, 4).unbind(0)
        y = attend(q, k, v)
        return self.out(y.transpose(1, 2).reshape(batch, n, dim))


class PairBlock(nn.Module):
    """Self-attention, cross-attention to the other view, MLP; pre-norm, weights shared by both views."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        hidden = int(dim * mlp_ratio)
        self.norm_self = nn.LayerNorm(dim)
        self.self_attention = Attention(dim, heads)
        self.norm_cross = nn.LayerNorm(dim)
        self.cross_attention = Attention(dim, heads)
        self.norm_mlp = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))

    def forward(self, x: Tensor) -> Tensor:
        """Map stacked tokens [2B, N, C] (view 0 of every pair, then view 1) to the same shape."""
        y = self.norm_self(x)
        x = x + self.self_attention(y, y)
        y = self.norm_cross(x)
        x = x + self.cross_attention(y, swap_views(y))
        return x + self.mlp(self.norm_mlp(x))


def swap_views(stacked: Tensor) -> Tensor:
    """Exchange the two halves of a stacked batch [2B, ...]: each view gets the other's value."""
    first, second = stacked.chunk(2, dim=0)
    return torch.cat((second, first), dim=0)
