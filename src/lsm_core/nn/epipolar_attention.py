"""Attention of a pixel to the samples along its epipolar lines in other views (pixelSplat, section 4.1)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class EpipolarAttention(nn.Module):
    """One query per pixel, its own keys; heads of `head_dim`, no bias before, one after."""

    def __init__(self, dim: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.heads, self.head_dim = heads, head_dim
        self.to_q = nn.Linear(dim, heads * head_dim, bias=False)
        self.to_kv = nn.Linear(dim, 2 * heads * head_dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(heads * head_dim, dim))

    def forward(self, x: Tensor, samples: Tensor) -> Tensor:
        """Attend as it is written: keys and values of every sample are made. The readable twin of `attend`.

        Args:
            x: [..., dim] queries.
            samples: [..., K, dim] of each query.

        Returns:
            [..., dim].
        """
        q = self.to_q(x).unflatten(-1, (self.heads, 1, -1))
        k, v = self.to_kv(samples).unflatten(-1, (2, self.heads, -1)).movedim(-3, 0).transpose(-2, -3).unbind(0)
        weights = (q @ k.mT * self.head_dim**-0.5).softmax(-1)
        return self.to_out((weights @ v).flatten(-3))

    def attend(self, x: Tensor, parts: Tensor, basis: Tensor, offset: Tensor) -> Tensor:
        """Attend to samples that are `parts @ basis.T + offset`, without making them, their keys or their values.

        With one query per set of keys, what is linear in a sample goes to the query (for scores) or behind the
        weighted mean (for values). The offset shifts all scores of a query alike, so only the values see it.

        Args:
            x: [..., dim] queries.
            parts: [..., K, P] of each query.
            basis: [dim, P].
            offset: [dim].

        Returns:
            [..., dim]; equal to `forward` up to rounding.
        """
        last = self.to_out[0]
        assert isinstance(last, nn.Linear)
        wide = (self.heads, self.head_dim, -1)
        to_k, to_v = self.to_kv.weight.chunk(2)
        to_q, to_out = self.to_q.weight.view(*wide), last.weight.view(-1, self.heads, self.head_dim)
        key_of_query = torch.einsum("hep,hed->hpd", to_k.view(*wide) @ basis, to_q).flatten(0, 1)
        value_rows = torch.einsum("ohe,hep->ohp", to_out, to_v.view(*wide) @ basis).flatten(1)
        offset_row = torch.einsum("ohe,he->o", to_out, (to_v @ offset).view(self.heads, self.head_dim))
        wanted = F.linear(x, key_of_query * self.head_dim**-0.5).unflatten(-1, (self.heads, -1))
        weights = (wanted @ parts.mT).softmax(-1)
        return F.linear((weights @ parts).flatten(-2), value_rows, last.bias + offset_row)
