"""Cross-model fusion: points attend to each other and to image tokens (LSM, arXiv:2410.18956, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsm_core.nn.packed_attention import PackedAttention
from lsm_core.nn.transformer import Mlp

NORM_EPS = 1e-5


class FusionBlock(nn.Module):
    """x += self attention(LN1 x); x += cross attention(LN2 x, LN_y m); x += mlp(LN3 x). Attention has no biases."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.attn = PackedAttention(dim, heads, bias=False)
        self.norm2 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.norm_y = nn.LayerNorm(dim, eps=NORM_EPS)
        self.cross_attn = PackedAttention(dim, heads, bias=False)
        self.norm3 = nn.LayerNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, 4 * dim)

    def forward(self, features: Tensor, counts: list[int], memory: Tensor) -> Tensor:
        """Fuse.

        Args:
            features: [N, dim] of all samples' points, one after the other.
            counts: points of each sample.
            memory: [B, L, dim] tokens of each sample.

        Returns:
            [N, dim].
        """
        if len(counts) == 1:
            return self._attend(features[None], memory, None)[0]
        parts = features.split(counts)
        padded = nn.utils.rnn.pad_sequence(list(parts), batch_first=True)
        lengths = torch.tensor(counts, device=features.device)
        mask = torch.arange(padded.shape[1], device=features.device) < lengths[:, None]
        return self._attend(padded, memory, mask)[mask]

    def _attend(self, x: Tensor, memory: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.attn(self.norm1(x), mask=mask)
        x = x + self.cross_attn(self.norm2(x), self.norm_y(memory))
        out: Tensor = x + self.mlp(self.norm3(x))
        return out
