"""Convolutional parts of lsm-tiny: residual units, feature fusion, convex upsampling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions with an identity skip (RefineNet, DPT); no normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv_2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        return x + self.conv_2(F.relu(self.conv_1(F.relu(x))))


class Fusion(nn.Module):
    """Upsample deep features by two, add a projected skip, refine."""

    def __init__(self, deep: int, skip: int, out: int) -> None:
        super().__init__()
        self.deep = nn.Conv2d(deep, out, 1)
        self.skip = nn.Conv2d(skip, out, 1)
        self.unit = ResidualUnit(out)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        """Fuse [B, deep, h, w] and [B, skip, 2h, 2w] into [B, out, 2h, 2w]."""
        up = F.interpolate(self.deep(deep), scale_factor=2.0, mode="bilinear", align_corners=False)
        return self.unit(up + self.skip(skip))


def convex_weights(logits: Tensor) -> Tensor:
    """Turn [B, 36, h, w] into convex weights [B, 1, 9, 2, 2, h, w] over the 3x3 neighbourhood."""
    batch, _, h, w = logits.shape
    return logits.float().view(batch, 1, 9, 2, 2, h, w).softmax(dim=2)


def convex_upsample(x: Tensor, weights: Tensor) -> Tensor:
    """Upsample [B, C, h, w] by two with learned convex weights (RAFT, Teed & Deng 2020).

    One small matrix product per cell, [4, 9] x [9, C]: the same sums as weighting nine shifted copies, without
    the nine times four copies in memory.
    """
    batch, channels, h, w = x.shape
    padded = F.pad(x.float(), (1, 1, 1, 1), mode="replicate").permute(0, 2, 3, 1)
    shifted = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
    mixing = weights.reshape(batch, 9, 4, h, w).permute(0, 3, 4, 2, 1)
    fine = mixing @ torch.stack(shifted, dim=3)  # [B, h, w, 4, C]
    return fine.view(batch, h, w, 2, 2, channels).permute(0, 5, 1, 3, 2, 4).reshape(batch, channels, 2 * h, 2 * w)


def upsample_nearest(x: Tensor, factor: int) -> Tensor:
    """Repeat each cell of [B, C, h, w] ``factor`` times along both axes."""
    return torch.repeat_interleave(torch.repeat_interleave(x, factor, dim=2), factor, dim=3)
