"""XFeat (Potje et al. 2024, arXiv:2404.19174): corners, how reliable they are, and 64 numbers to know them by.

Module names are the keys of the official file. Shapes: B images, H and W multiples of 32, h = H / 8, w = W / 8.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CELL = 8  # side of the square of pixels that one descriptor and one corner stand for
DESCRIPTOR = 64
STRIDE = 32  # of the coarsest features


@dataclass(frozen=True, eq=False)
class XFeatMaps:
    """What the network says of images.

    Attributes:
        descriptors: [B, 64, h, w], not normalised.
        corners: [B, 65, h, w] logits: which of a cell's 64 pixels is a corner, row by row, or none.
        reliability: [B, 1, h, w] in 0 to 1.
    """

    descriptors: Tensor
    corners: Tensor
    reliability: Tensor

    def heat(self) -> Tensor:
        """Return how much each pixel is a corner, [B, H, W]."""
        return F.pixel_shuffle(self.corners.softmax(1)[:, : CELL * CELL], CELL)[:, 0]


class ConvUnit(nn.Module):
    """Convolution without bias, normalisation without scale and shift, ReLU."""

    def __init__(self, before: int, after: int, size: int = 3, stride: int = 1) -> None:
        super().__init__()
        conv = nn.Conv2d(before, after, size, stride, padding=size // 2, bias=False)
        self.layer = nn.Sequential(conv, nn.BatchNorm2d(after, affine=False), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, before, H, W] to [B, after, H / stride, W / stride]."""
        out: Tensor = self.layer(x)
        return out


def _units(*sizes: tuple[int, int, int, int]) -> nn.Sequential:
    return nn.Sequential(*(ConvUnit(*size) for size in sizes))


class XFeat(nn.Module):
    """The network (section 3 and figure 3 of the paper); the refiner of semi-dense matches is not part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.skip1 = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(1, 24, 1))
        self.block1 = _units((1, 4, 3, 1), (4, 8, 3, 2), (8, 8, 3, 1), (8, 24, 3, 2))
        self.block2 = _units((24, 24, 3, 1), (24, 24, 3, 1))
        self.block3 = _units((24, 64, 3, 2), (64, 64, 3, 1), (64, 64, 1, 1))
        self.block4 = _units((64, 64, 3, 2), (64, 64, 3, 1), (64, 64, 3, 1))
        self.block5 = _units((64, 128, 3, 2), (128, 128, 3, 1), (128, 128, 3, 1), (128, 64, 1, 1))
        self.block_fusion = nn.Sequential(*_units((64, 64, 3, 1), (64, 64, 3, 1)), nn.Conv2d(64, DESCRIPTOR, 1))
        self.heatmap_head = nn.Sequential(*_units((64, 64, 1, 1), (64, 64, 1, 1)), nn.Conv2d(64, 1, 1))
        corners = _units(*[(CELL * CELL, 64, 1, 1)] * 3)
        self.keypoint_head = nn.Sequential(*corners, nn.Conv2d(64, CELL * CELL + 1, 1))

    def forward(self, images: Tensor) -> XFeatMaps:
        """Describe images [B, C, H, W] of any range; colours are averaged and the picture is normalised."""
        gray = F.instance_norm(images.mean(1, keepdim=True), eps=1e-5)
        fine = self.block3(self.block2(self.block1(gray) + self.skip1(gray)))
        middle = self.block4(fine)
        coarse = self.block5(middle)
        size = (fine.shape[2], fine.shape[3])
        enlarged = [F.interpolate(x, size, mode="bilinear", align_corners=False) for x in (middle, coarse)]
        descriptors = self.block_fusion(fine + enlarged[0] + enlarged[1])
        reliability = torch.sigmoid(self.heatmap_head(descriptors))
        return XFeatMaps(descriptors, self.keypoint_head(F.pixel_unshuffle(gray, CELL)), reliability)
