"""Plain float64 building blocks that read weights by the reference's keys; nothing here is shared with the code."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]


def part(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """Return the weights under a prefix, without it."""
    return {k[len(prefix) :]: v for k, v in weights.items() if k.startswith(prefix)}


def linear(weights: Weights, key: str, x: Tensor) -> Tensor:
    """Return W x + b, with b where it is stored."""
    out = x @ weights[f"{key}.weight"].T
    return out + weights[f"{key}.bias"] if f"{key}.bias" in weights else out


def layer_norm(weights: Weights, key: str, x: Tensor, eps: float) -> Tensor:
    """Return x with mean 0 and variance 1 over the last axis, scaled and shifted."""
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return scaled * weights[f"{key}.weight"] + weights[f"{key}.bias"]


def batch_norm(weights: Weights, key: str, x: Tensor, eps: float, axis: int) -> Tensor:
    """Return x normalised by the running statistics along an axis."""
    shape = [1] * x.ndim
    shape[axis] = -1
    mean, var, scale, shift = (
        weights[f"{key}.{n}"].view(shape) for n in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + eps).sqrt() * scale + shift


def gelu(x: Tensor) -> Tensor:
    """Return x times the normal distribution's share below x."""
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def attend(q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
    """Return softmax(q k' / sqrt(d)) v per head; q [N, D], k and v [M, D]."""
    d = q.shape[1] // heads
    out = []
    for h in range(heads):
        own = slice(h * d, (h + 1) * d)
        out.append(torch.softmax(q[:, own] @ k[:, own].T / math.sqrt(d), -1) @ v[:, own])
    return torch.cat(out, 1)


def mlp(weights: Weights, key: str, x: Tensor) -> Tensor:
    """Return fc2(gelu(fc1 x))."""
    return linear(weights, f"{key}.fc2", gelu(linear(weights, f"{key}.fc1", x)))
