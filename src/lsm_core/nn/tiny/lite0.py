"""EfficientNet-Lite0 feature pyramid with BatchNorm folded into the convolutions.

Tan & Le, EfficientNet (ICML 2019), the "lite" variant: no squeeze-and-excite, ReLU6, stem and head
not scaled. The statistics of BatchNorm are frozen here in any case, so each convolution carries
the folded scale and a bias: fewer passes over memory, in training as in inference.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class StageSpec:
    """One row of the Lite0 table."""

    expand: int
    kernel: int
    stride: int
    channels_in: int
    channels_out: int
    repeats: int


STAGES: tuple[StageSpec, ...] = (
    StageSpec(1, 3, 1, 32, 16, 1),
    StageSpec(6, 3, 2, 16, 24, 2),
    StageSpec(6, 5, 2, 24, 40, 2),
    StageSpec(6, 3, 2, 40, 80, 3),
    StageSpec(6, 5, 1, 80, 112, 3),
    StageSpec(6, 5, 2, 112, 192, 4),
    StageSpec(6, 3, 1, 192, 320, 1),
)
TAPS = {0: "s2", 2: "s4", 4: "s8", 10: "s16", 15: "s32"}  # block index -> pyramid level
CHANNELS = {"s2": 16, "s4": 24, "s8": 40, "s16": 112, "s32": 320}


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow "SAME" padding (extra row and column at the bottom and right)."""

    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        symmetric = kernel // 2 if stride == 1 else 0
        super().__init__(c_in, c_out, kernel, stride, symmetric, groups=groups, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve ``x`` [B, C, H, W]; H and W even where the stride is 2."""
        if self.stride[0] == 2:
            total = self.kernel_size[0] - 2
            before = total // 2
            x = F.pad(x, (before, total - before, before, total - before))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """Expand (1x1), depthwise (kxk), project (1x1); identity skip where shapes allow."""

    def __init__(self, c_in: int, c_out: int, expand: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = c_in * expand
        self.expand = SameConv(c_in, hidden, 1) if expand != 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, c_out, 1)
        self.has_skip = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, c_in, H, W] to [B, c_out, H / stride, W / stride]."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.has_skip else y


class Lite0(nn.Module):
    """The encoder: image to features at 1/2, 1/4, 1/8, 1/16 and 1/32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = SameConv(3, 32, 3, 2)
        blocks = []
        for stage in STAGES:
            for i in range(stage.repeats):
                c_in = stage.channels_in if i == 0 else stage.channels_out
                stride = stage.stride if i == 0 else 1
                blocks.append(InvertedResidual(c_in, stage.channels_out, stage.expand, stage.kernel, stride))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the pyramid.

        Args:
            image: [B, 3, H, W] float RGB, ImageNet mean and standard deviation removed; H and W
                multiples of 32.

        Returns:
            ``{"s2": [B, 16, H/2, W/2], "s4": ..., "s8": ..., "s16": ..., "s32": [B, 320, H/32, W/32]}``.
        """
        x = F.relu6(self.stem(image))
        pyramid: dict[str, Tensor] = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in TAPS:
                pyramid[TAPS[index]] = x
        return pyramid


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(image: Tensor) -> Tensor:
    """Remove ImageNet mean and standard deviation from [B, 3, H, W] RGB in [0, 1]."""
    mean = torch.tensor(IMAGENET_MEAN, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    return (image - mean) / std
