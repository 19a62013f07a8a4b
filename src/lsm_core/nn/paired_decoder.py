"""The decoder blocks of both views as one: each product of matrices is done for both at once.

In a layer neither view waits for the other, since both read the layer before. On a GPU two small products take
nearly as long as one of twice the size; on a CPU nothing is gained. For inference: nothing here has a gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.rope import apply_rope
from lsm_core.nn.transformer import DecoderBlock, Mlp, Rope


def _stacked(first: Tensor, second: Tensor) -> nn.Parameter:
    return nn.Parameter(torch.stack((first.detach(), second.detach())), requires_grad=False)


class PairedLinear(nn.Module):
    """Two linear layers of one shape, which from then on read their values from here."""

    def __init__(self, first: nn.Linear, second: nn.Linear) -> None:
        super().__init__()
        self.weight = _stacked(first.weight, second.weight)
        self.bias = _stacked(first.bias[None], second.bias[None])
        for i, layer in enumerate((first, second)):
            layer.weight = nn.Parameter(self.weight[i], requires_grad=False)
            layer.bias = nn.Parameter(self.bias[i, 0], requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [2, B, N, in] to [2, B, N, out]."""
        return torch.baddbmm(self.bias, x.flatten(1, 2), self.weight.transpose(1, 2)).unflatten(1, x.shape[1:3])


class PairedNorm(nn.Module):
    """Two layer normalisations of one width."""

    def __init__(self, first: nn.LayerNorm, second: nn.LayerNorm) -> None:
        super().__init__()
        self.eps = first.eps
        self.weight = _stacked(first.weight[None, None], second.weight[None, None])
        self.bias = _stacked(first.bias[None, None], second.bias[None, None])

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [2, B, N, dim]."""
        return F.layer_norm(x, x.shape[-1:], eps=self.eps) * self.weight + self.bias


class PairedMlp(nn.Module):
    """Two MLPs of one shape."""

    def __init__(self, first: Mlp, second: Mlp) -> None:
        super().__init__()
        self.fc1, self.fc2 = PairedLinear(first.fc1, second.fc1), PairedLinear(first.fc2, second.fc2)

    def forward(self, x: Tensor) -> Tensor:
        """Map [2, B, N, dim] to the same shape."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class PairedBlock(nn.Module):
    """A layer of both decoders; see `DecoderBlock`."""

    def __init__(self, first: DecoderBlock, second: DecoderBlock) -> None:
        super().__init__()
        self.heads = first.attn.heads
        self.norm1 = PairedNorm(first.norm1, second.norm1)
        self.norm2 = PairedNorm(first.norm2, second.norm2)
        self.norm3 = PairedNorm(first.norm3, second.norm3)
        self.norm_y = PairedNorm(first.norm_y, second.norm_y)
        self.qkv = PairedLinear(first.attn.qkv, second.attn.qkv)
        self.proj = PairedLinear(first.attn.proj, second.attn.proj)
        a, b = first.cross_attn, second.cross_attn
        self.projq, self.projk = PairedLinear(a.projq, b.projq), PairedLinear(a.projk, b.projk)
        self.projv, self.cross_proj = PairedLinear(a.projv, b.projv), PairedLinear(a.proj, b.proj)
        self.mlp = PairedMlp(first.mlp, second.mlp)

    def forward(self, x: Tensor, rope: Rope) -> Tensor:
        """Apply both blocks to the tokens of both views, [2, B, N, dim], on one grid."""
        other = self.norm_y(x.flip(0))
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        x = x + self.proj(self._attend(q, k, v, rope))
        q = self.projq(self.norm2(x))
        x = x + self.cross_proj(self._attend(q, self.projk(other), self.projv(other), rope))
        return x + self.mlp(self.norm3(x))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, rope: Rope) -> Tensor:
        q, k, v = (t.flatten(0, 1).unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        mixed = F.scaled_dot_product_attention(apply_rope(q, rope), apply_rope(k, rope), v)
        return mixed.transpose(1, 2).flatten(2).unflatten(0, (2, -1))
