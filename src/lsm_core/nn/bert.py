"""BERT sentence encoder (Devlin et al. 2019, arXiv:1810.04805): equations only, post-norm, absolute positions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class BertConfig:
    """Sizes of the network; the defaults are those of MiniLM-L6-H384."""

    vocabulary: int = 30522
    positions: int = 512
    token_types: int = 2
    width: int = 384
    depth: int = 6
    heads: int = 12
    hidden: int = 1536
    norm_eps: float = 1e-12


class BertLayer(nn.Module):
    """One encoder layer: x = LN(x + attention(x)); x = LN(x + mlp(x))."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.attention_out = nn.Linear(config.width, config.width)
        self.attention_norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.mlp_in = nn.Linear(config.width, config.hidden)
        self.mlp_out = nn.Linear(config.hidden, config.width)
        self.mlp_norm = nn.LayerNorm(config.width, eps=config.norm_eps)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            x: [B, L, C] tokens.
            mask: [B, 1, 1, L] bool, True where a key may be attended to.

        Returns:
            [B, L, C].
        """
        q, k, v = (self._split(f(x)) for f in (self.query, self.key, self.value))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)  # [B, heads, L, C / heads]
        x = self.attention_norm(x + self.attention_out(attended.transpose(1, 2).flatten(2)))
        return self.mlp_norm(x + self.mlp_out(F.gelu(self.mlp_in(x))))

    def _split(self, x: Tensor) -> Tensor:
        """[B, L, C] -> [B, heads, L, C / heads]."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class BertEncoder(nn.Module):
    """Token ids to token states."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.words = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Embedding(config.positions, config.width)
        self.token_types = nn.Embedding(config.token_types, config.width)
        self.norm = nn.LayerNorm(config.width, eps=config.norm_eps)
        self.layers = nn.ModuleList(BertLayer(config) for _ in range(config.depth))

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Encode token ids.

        Args:
            ids: [B, L] int64.
            mask: [B, L] bool, False at padding.

        Returns:
            [B, L, C] states of the last layer (padding positions hold values of no meaning).
        """
        at = torch.arange(ids.shape[1], device=ids.device)
        x = self.norm(self.words(ids) + self.positions(at) + self.token_types(torch.zeros_like(ids)))
        for layer in self.layers:
            x = layer(x, mask[:, None, None, :])
        return x


def sentence_embedding(states: Tensor, mask: Tensor) -> Tensor:
    """Pool token states [B, L, C] over the unmasked tokens [B, L] to unit vectors [B, C] (mean, then L2 norm)."""
    weight = mask.to(states.dtype).unsqueeze(-1)
    return F.normalize((states * weight).sum(1) / weight.sum(1).clamp(min=1), dim=-1)
