"""Attention within consecutive patches along a curve."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class PatchAttention(nn.Module):
    """Multi-head attention of each point with its patch (Point Transformer V3, arXiv:2312.10035, section 4.3)."""

    def __init__(self, dim: int, heads: int, patch_size: int) -> None:
        super().__init__()
        self.heads = heads
        self.patch_size = patch_size
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(
        self, x: Tensor, order: Tensor, counts: list[int], half: bool = False, shared_size: bool = False
    ) -> Tensor:
        """Attend.

        Args:
            x: [N, dim] of all samples.
            order: [N] the points along the curve; a sample's are consecutive.
            counts: points of each sample.
            half: queries, keys, values and the result pass through float16, as in the reference's kernel.
            shared_size: no patch is larger than the smallest sample (the reference without its kernel).
        """
        patch = min(self.patch_size, min(counts)) if shared_size else self.patch_size
        qkv = self.qkv(x[order])
        if half:
            qkv = qkv.half() if qkv.is_cuda else qkv.half().float()  # a CPU has no fast kernel for float16
        mixed = torch.cat([self._sample(part, patch) for part in qkv.split(counts)])
        if half:
            mixed = mixed.half().to(x.dtype)
        mixed = self.proj(mixed)
        out = torch.empty_like(mixed)
        out[order] = mixed
        return out

    def _sample(self, qkv: Tensor, patch: int) -> Tensor:
        """Attend within one sample [n, 3 dim], in the order of the curve.

        A last patch that is not full is filled up with the points before it; what they give there is not used.
        """
        n = len(qkv)
        if n <= patch:
            return self._patches(qkv[None])[0]
        full = n // patch * patch
        mixed = self._patches(qkv[:full].unflatten(0, (-1, patch))).flatten(0, 1)
        if full == n:
            return mixed
        # The reference takes those at the same places of the patch before: the same points, in another order.
        last = self._patches(qkv[None, n - patch :])[0]
        return torch.cat((mixed, last[full - n :]))

    def _patches(self, qkv: Tensor) -> Tensor:
        """Attend within patches [P, K, 3 dim]; return [P, K, dim]."""
        q, k, v = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
