"""Cosines between language features and texts, without decoding every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class FeatureDecoder(Protocol):
    """What scoring needs of a backend."""

    device: torch.device

    def decode_features(self, features: Tensor) -> Tensor:
        """Map [..., D] to the text space [..., E]."""
        ...


@dataclass(frozen=True)
class LinearDecoder:
    """An affine decoder e = W f + b.

    Attributes:
        weight: [E, D] float32.
        bias: [E] float32.
    """

    weight: Tensor
    bias: Tensor


def probe_linear(backend: FeatureDecoder, width: int) -> LinearDecoder | None:
    """Read W and b off a decoder by unit vectors; None when it is not affine (checked on random features).

    Args:
        backend: its `decode_features` is asked.
        width: D, width of the features.
    """
    with torch.inference_mode():
        zero = torch.zeros(1, width)
        bias = backend.decode_features(zero).float().cpu()[0]
        weight = (backend.decode_features(torch.eye(width)).float().cpu() - bias).T.contiguous()
        probe = torch.randn(16, width, generator=torch.Generator().manual_seed(0))
        decoded = backend.decode_features(probe).float().cpu()
        predicted = probe @ weight.T + bias
    scale = float(decoded.abs().max()) + 1e-12
    return LinearDecoder(weight, bias) if float((decoded - predicted).abs().max()) < 1e-3 * scale else None


def cosines(features: Tensor, texts: Tensor, decoder: LinearDecoder) -> Tensor:
    """Return cosines of features with texts: t.(W f + b) / |W f + b|, all products in D instead of E dimensions.

    |W f + b|^2 = f^T G f + 2 (W^T b).f + b.b with the Gram matrix G = W^T W.

    Args:
        features: [P, D] float32.
        texts: [T, E] unit vectors.
        decoder: of width D.

    Returns:
        [P, T] float32 in [-1, 1]; 0 for features that decode to nothing.
    """
    W, b = decoder.weight.to(features), decoder.bias.to(features)
    t = texts.to(features)
    dot = torch.addmm(t @ b, features, W.T @ t.T)
    squared = ((features @ (W.T @ W)) * features).sum(1) + 2 * (features @ (W.T @ b)) + b @ b
    return (dot * squared.clamp(min=1e-12).rsqrt()[:, None]).clamp(-1, 1)


def cosines_decoded(features: Tensor, texts: Tensor, backend: FeatureDecoder) -> Tensor:
    """Return the same as `cosines` by decoding every pixel: the readable twin, and the path for other decoders.

    Args:
        features: [P, D] float32.
        texts: [T, E] unit vectors.
        backend: decodes.

    Returns:
        [P, T] float32 in [-1, 1].
    """
    decoded = backend.decode_features(features).float()
    decoded = decoded / decoded.norm(dim=1, keepdim=True).clamp(min=1e-6)
    return (decoded @ texts.to(decoded).T).clamp(-1, 1)
