"""Multi-head attention with queries, keys and values in one weight, as torch's nn.MultiheadAttention stores them.

The fused kernel is used; attention weights are never materialised.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PackedAttention(nn.Module):
    """Attention whose parameters are `in_proj_weight`, `in_proj_bias` and `out_proj`."""

    def __init__(self, dim: int, heads: int, bias: bool = True) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim)) if bias else None
        self.out_proj = nn.Linear(dim, dim, bias=bias)
        nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(
        self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        """Attend from x [B, N, dim] to memory [B, M, dim] (x itself by default).

        Args:
            x, memory: tokens.
            mask: [B, M] bool, True where a key counts; all by default.
            causal: a token sees itself and those before it.
        """
        source = x if memory is None else memory
        q_weight, k_weight, v_weight = self.in_proj_weight.to(x.dtype).chunk(3)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.to(x.dtype).chunk(3)
        q = self._split(F.linear(x, q_weight, biases[0]))
        k = self._split(F.linear(source, k_weight, biases[1]))
        v = self._split(F.linear(source, v_weight, biases[2]))
        keys = None if mask is None else mask[:, None, None]
        mixed = F.scaled_dot_product_attention(q, k, v, keys, is_causal=causal)
        bias = None if self.out_proj.bias is None else self.out_proj.bias.to(x.dtype)
        return F.linear(mixed.transpose(1, 2).reshape(x.shape), self.out_proj.weight.to(x.dtype), bias)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)
