"""Pre-norm transformer blocks (ViT: Dosovitskiy et al. 2021; decoder block of CroCo: Weinzaepfel et al. 2022).

Submodules carry the names of the released checkpoints, so their tensors load without a table.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.rope import apply_rope

Rope = tuple[Tensor, Tensor]
NORM_EPS = 1e-6


class Attention(nn.Module):
    """Multi-head self attention with one projection to queries, keys and values."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, rope: Rope | None = None) -> Tensor:
        """Attend within x [B, N, dim]; `rope` turns queries and keys."""
        B, N, dim = x.shape
        q, k, v = self.qkv(x).view(B, N, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        if rope is not None:
            q, k = apply_rope(q, rope), apply_rope(k, rope)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.proj(mixed.transpose(1, 2).reshape(B, N, dim))


class CrossAttention(nn.Module):
    """Multi-head attention from one token set to another."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projq = nn.Linear(dim, dim)
        self.projk = nn.Linear(dim, dim)
        self.projv = nn.Linear(dim, dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, memory: Tensor, rope: Rope | None = None, memory_rope: Rope | None = None
    ) -> Tensor:
        """Attend from x [B, N, dim] to memory [B, M, dim], each with its own positions."""
        return self.attend(x, *self.keys_values(memory, memory_rope), rope)

    def keys_values(self, memory: Tensor, rope: Rope | None = None) -> tuple[Tensor, Tensor]:
        """Return keys and values [B, heads, M, dim / heads] of a memory [B, M, dim]."""
        k, v = self._split(self.projk(memory)), self._split(self.projv(memory))
        return (k if rope is None else apply_rope(k, rope)), v

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, rope: Rope | None = None) -> Tensor:
        """Attend from x [B, N, dim] to keys and values, see `keys_values`."""
        q = self._split(self.projq(x))
        mixed = F.scaled_dot_product_attention(q if rope is None else apply_rope(q, rope), keys, values)
        return self.proj(mixed.transpose(1, 2).reshape(x.shape))

    def _split(self, x: Tensor) -> Tensor:
        B, N, dim = x.shape
        return x.view(B, N, self.heads, dim // self.heads).transpose(1, 2)


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, dim: int, hidden: int, out_dim: int | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim if out_dim is None else out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., dim] to [..., out_dim], by default the same width."""
        return self.fc2(F.gelu(self.fc1(x)))


class EncoderBlock(nn.Module):
    """x += attention(LN1 x); x += mlp(LN2 x)."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, rope: Rope | None = None) -> Tensor:
        """Apply the block to x [B, N, dim]."""
        x = x + self.attn(self.norm1(x), rope)
        return x + self.mlp(self.norm2(x))


class DecoderBlock(nn.Module):
    """x += self attention(LN1 x); x += cross attention(LN2 x, LN_y memory); x += mlp(LN3 x)."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = Attention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.norm_y = nn.LayerNorm(dim, eps=NORM_EPS)
        self.cross_attn = CrossAttention(dim, heads)
        self.norm3 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio))

    def forward(self, x: Tensor, memory: Tensor, rope: Rope, memory_rope: Rope) -> Tensor:
        """Apply the block to x [B, N, dim] with memory [B, M, dim]."""
        x = x + self.attn(self.norm1(x), rope)
        x = x + self.cross_attn(self.norm2(x), self.norm_y(memory), rope, memory_rope)
        return x + self.mlp(self.norm3(x))
