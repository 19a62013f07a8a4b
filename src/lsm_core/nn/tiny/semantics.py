"""Language head: 64-d features to the sentence-embedding space, and their scores against texts."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TextHead(nn.Module):
    """A linear map from the compact feature to text-embedding space with a learned temperature."""

    def __init__(self, feature_dim: int, text_dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(feature_dim, text_dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def forward(self, features: Tensor) -> Tensor:
        """Decode [..., 64] to unit vectors [..., 384]."""
        return nn.functional.normalize(self.linear(features.float()), dim=-1)

    def similarity(self, features: Tensor, texts: Tensor) -> Tensor:
        """Return cosines [..., T] of features [..., 64] with unit text embeddings [T, 384].

        Equal to ``forward(features) @ texts.T`` without building the 384-d vectors: the product is
        taken in 64 dimensions, the norm through the Gram matrix of the map.
        """
        features = features.float()
        weight = self.linear.weight.float()  # [384, 64]
        dot = features @ (weight.T @ texts.T.float())
        gram = weight.T @ weight
        norm = ((features @ gram) * features).sum(-1, keepdim=True).clamp_min(1e-12).sqrt()
        return dot / norm

    def scale(self) -> Tensor:
        """Return the learned inverse temperature, kept in [1, 100]."""
        return self.log_scale.clamp(0.0, math.log(100.0)).exp()
