"""LPIPS (Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features"), version 0.1 on VGG-16."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of inputs in [-1, 1]
SMALLEST = 1e-10
MIN_SIDE = 16  # four times halved


class Lpips(nn.Module):
    """A distance of images as people see it: weighted differences of VGG-16's features at five depths."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        before = 3
        for widths in WIDTHS:
            block = nn.ModuleList()
            for width in widths:
                block.append(nn.Conv2d(before, width, 3, padding=1))
                before = width
            self.blocks.append(block)
        self.weights = nn.ParameterList([nn.Parameter(torch.ones(widths[-1])) for widths in WIDTHS])
        self.shift: Tensor
        self.scale: Tensor
        self.register_buffer("shift", torch.tensor(SHIFT).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(SCALE).reshape(1, 3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the features of images [B, 3, H, W] in [0, 1], unit norm over channels, at five depths.

        Those of a fixed image are computed once and used against many (`distance`).
        """
        x = (2 * images - 1 - self.shift) / self.scale
        found = []
        for depth, block in enumerate(self.blocks):
            if depth:
                x = F.max_pool2d(x, 2)
            for conv in block:  # type: ignore[attr-defined]  # a ModuleList
                x = F.relu(conv(x))
            found.append(x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + SMALLEST))
        return found

    def distance(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
        """Return the distance [B] of features as `features` gives them."""
        return torch.stack([part.mean((1, 2)) for part in self._differences(first, second)]).sum(0)

    def difference_map(self, first: Tensor, second: Tensor) -> Tensor:
        """Return how much each pixel differs, [B, 1, H, W], of images [B, 3, H, W] in [0, 1].

        Each depth is brought to the size of the images first, as LPIPS does when it is asked for a map.
        """
        size = (first.shape[2], first.shape[3])
        parts = [
            F.interpolate(part[:, None], size, mode="bilinear", align_corners=False)
            for part in self._differences(self.features(first), self.features(second))
        ]
        return torch.stack(parts).sum(0)

    def _differences(self, first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
        """Return the weighted squared differences [B, h, w] at each depth."""
        return [
            torch.einsum("bchw,c->bhw", (a - b) ** 2, weight)
            for a, b, weight in zip(first, second, self.weights, strict=True)
        ]

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the distance [B] of images [B, 3, H, W] in [0, 1]."""
        return self.distance(self.features(first), self.features(second))
