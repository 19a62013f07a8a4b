"""CLIP's text tower (Radford et al. 2021, arXiv:2103.00020): token ids to one vector per text."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.packed_attention import PackedAttention

NORM_EPS = 1e-5


@dataclass(frozen=True)
class ClipTextConfig:
    """Sizes; the defaults are those of ViT-B/32."""

    vocabulary: int = 49408
    context: int = 77
    width: int = 512
    heads: int = 8
    layers: int = 12
    out_dim: int = 512


class ClipMlp(nn.Module):
    """Two linear layers with x * sigmoid(1.702 x) between."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map [..., width] to [..., width] in the dtype of x."""
        hidden = _linear(self.c_fc, x)
        return _linear(self.c_proj, hidden * torch.sigmoid(1.702 * hidden))


class ClipBlock(nn.Module):
    """x += causal attention(LN x); x += mlp(LN x)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = PackedAttention(width, heads)
        self.ln_2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = ClipMlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to x [B, L, width]."""
        x = x + self.attn(_norm(self.ln_1, x), causal=True)
        return x + self.mlp(_norm(self.ln_2, x))


class ClipTransformer(nn.Module):
    """The stack of blocks."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ClipBlock(config.width, config.heads) for _ in range(config.layers))


class ClipText(nn.Module):
    """Text tower; the vector is that of the end token, which has the largest id."""

    def __init__(self, config: ClipTextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocabulary, config.width)
        self.positional_embedding = nn.Parameter(torch.zeros(config.context, config.width))
        self.transformer = ClipTransformer(config)
        self.ln_final = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.text_projection = nn.Parameter(torch.zeros(config.width, config.out_dim))

    def forward(self, tokens: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """Encode token ids [T, context]; return [T, out_dim] in `dtype`, not normalised.

        With float16 the embeddings, the residual stream and all linear layers are half, as the reference runs on a
        GPU; LayerNorm is computed in float32 always.
        """
        x = self.token_embedding(tokens).to(dtype) + self.positional_embedding.to(dtype)
        for block in self.transformer.resblocks:
            x = block(x)
        x = _norm(self.ln_final, x)
        ends = x[torch.arange(len(x), device=x.device), tokens.argmax(-1)]
        return ends @ self.text_projection.to(dtype)


def _norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x.float(), norm.normalized_shape, norm.weight, norm.bias, norm.eps).to(x.dtype)


def _linear(layer: nn.Linear, x: Tensor) -> Tensor:
    return F.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))
