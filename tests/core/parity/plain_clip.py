"""CLIP's text tower for one text at a time, written out, in float64."""

from __future__ import annotations

import torch
from plain_maths import Weights, layer_norm, linear
from torch import Tensor


def text_vectors(w: Weights, tokens: Tensor, heads: int) -> Tensor:
    """Return a vector per row of token ids: that of the token with the largest id."""
    out = []
    for ids in tokens:
        x = w["token_embedding.weight"][ids.long()] + w["positional_embedding"]
        layers = 1 + max(int(k.split(".")[2]) for k in w if k.startswith("transformer.resblocks."))
        for i in range(layers):
            key = f"transformer.resblocks.{i}"
            y = layer_norm(w, f"{key}.ln_1", x, 1e-5)
            y = y @ w[f"{key}.attn.in_proj_weight"].T + w[f"{key}.attn.in_proj_bias"]
            x = x + linear(w, f"{key}.attn.out_proj", causal(*y.chunk(3, 1), heads))
            hidden = linear(w, f"{key}.mlp.c_fc", layer_norm(w, f"{key}.ln_2", x, 1e-5))
            x = x + linear(w, f"{key}.mlp.c_proj", hidden / (1 + (-1.702 * hidden).exp()))
        end = layer_norm(w, "ln_final", x, 1e-5)[int(ids.argmax())]
        out.append(end @ w["text_projection"])
    return torch.stack(out)


def causal(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Attend from each token to itself and those before it."""
    d, out = q.shape[1] // heads, torch.zeros_like(q)
    for h in range(heads):
        own = slice(h * d, (h + 1) * d)
        for n in range(len(q)):
            weights = torch.softmax(k[: n + 1, own] @ q[n, own] / d**0.5, 0)
            out[n, own] = weights @ v[: n + 1, own]
    return out
