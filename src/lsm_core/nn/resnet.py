"""ResNet with bottlenecks (He et al. 2016) as pixelSplat uses it: no pooling after the stem, three stages.

Submodules carry the names of the released checkpoints. The fourth stage and the classifier are never run.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 4
STRIDES = (1, 2, 2)


@dataclass(frozen=True)
class ResNetConfig:
    """Sizes; the defaults are those of ResNet-50 up to its third stage."""

    stem: int = 64
    planes: tuple[int, int, int] = (64, 128, 256)
    blocks: tuple[int, int, int] = (3, 4, 6)

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Widths after the stem and each stage."""
        first, second, third = (EXPANSION * planes for planes in self.planes)
        return self.stem, first, second, third


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a shortcut; the stride is in the 3x3 and in the shortcut."""

    def __init__(self, channels: int, planes: int, stride: int) -> None:
        super().__init__()
        out = EXPANSION * planes
        self.conv1, self.bn1 = nn.Conv2d(channels, planes, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv2, self.bn2 = nn.Conv2d(planes, planes, 3, stride, 1, bias=False), nn.BatchNorm2d(planes)
        self.conv3, self.bn3 = nn.Conv2d(planes, out, 1, bias=False), nn.BatchNorm2d(out)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels != out:
            self.downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to [B, 4 planes, h / stride, w / stride]."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Stem and three stages, at 1/2, 1/2, 1/4 and 1/8 of the image."""

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, config.stem, 7, 2, 3, bias=False), nn.BatchNorm2d(config.stem)
        stages = []
        for index, stride in enumerate(STRIDES):
            channels, planes = config.channels[index], config.planes[index]
            first = Bottleneck(channels, planes, stride)
            rest = (Bottleneck(EXPANSION * planes, planes, 1) for _ in range(config.blocks[index] - 1))
            stages.append(nn.Sequential(first, *rest))
        self.layer1, self.layer2, self.layer3 = stages

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the outputs of the stem and of each stage for images [B, 3, H, W]."""
        out = [F.relu(self.bn1(self.conv1(image)))]
        for stage in (self.layer1, self.layer2, self.layer3):
            out.append(stage(out[-1]))
        return out


class ResNetPyramid(nn.Module):
    """The outputs of a ResNet, each projected, resized to the image and summed."""

    def __init__(self, config: ResNetConfig, dim: int) -> None:
        super().__init__()
        self.model = ResNet(config)
        self.projections = nn.ModuleDict(
            {f"layer{i}": nn.Conv2d(channels, dim, 1) for i, channels in enumerate(config.channels)}
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return [B, dim, H, W] for images [B, 3, H, W]."""
        size = image.shape[2:]
        levels = [self.projections[f"layer{i}"](level) for i, level in enumerate(self.model(image))]
        total = torch.zeros_like(levels[0][:, :, :1, :1])
        for level in levels:
            total = total + F.interpolate(level, size, mode="bilinear", align_corners=True)
        return total
