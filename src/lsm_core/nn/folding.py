"""Batch normalisation with fixed statistics is a scale and a shift: it goes into the layer before it.

What stays: the normalisation after a pooling of Point Transformer V3, which follows a maximum over points. A
channel that it scales by a negative number would need the minimum instead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from lsm_core.nn.dpt import ResidualConvUnit
from lsm_core.nn.resnet import Bottleneck, ResNet
from lsm_core.points.ptv3 import Stem, Up


def fold_batch_norms(network: nn.Module) -> int:
    """Fold what can be folded, in place; the results are the same up to rounding. Return how many were.

    Args:
        network: in eval mode. Its state dict no longer has the keys of the checkpoint.
    """
    count = 0
    for module in network.modules():
        if isinstance(module, ResidualConvUnit):
            count += _fold_convolutions(module, 2)
        elif isinstance(module, Bottleneck):
            count += _fold_convolutions(module, 3)
            if module.downsample is not None:
                count += _fold_shortcut(module.downsample)
        elif isinstance(module, ResNet):
            count += _fold_convolutions(module, 1)
        elif isinstance(module, Stem):
            count += _fold_stem(module)
        elif isinstance(module, Up):
            count += _fold_projection(module.proj) + _fold_projection(module.proj_skip)
    return count


def _fold_convolutions(module: nn.Module, stages: int) -> int:
    """Fold `bn1` into `conv1`, and so on."""
    count = 0
    for conv, norm in ((f"conv{stage}", f"bn{stage}") for stage in range(1, stages + 1)):
        if isinstance(getattr(module, norm), nn.BatchNorm2d):
            setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
            setattr(module, norm, nn.Identity())
            count += 1
    return count


def _fold_shortcut(shortcut: nn.Sequential) -> int:
    conv, norm = shortcut[0], shortcut[1]
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        return 0
    shortcut[0], shortcut[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
    return 1


def _fold_stem(stem: Stem) -> int:
    norm = stem.norm
    if not isinstance(norm, nn.BatchNorm1d):
        return 0
    scale, shift = scale_and_shift(norm)
    bias = shift if stem.conv.bias is None else shift + scale * stem.conv.bias
    stem.conv.weight = nn.Parameter(stem.conv.weight.detach() * scale.view(-1, 1, 1, 1, 1))
    stem.conv.bias = nn.Parameter(bias)
    stem.norm = nn.Identity()
    return 1


def _fold_projection(projection: nn.Sequential) -> int:
    linear, norm = projection[0], projection[1]
    if not isinstance(linear, nn.Linear) or not isinstance(norm, nn.BatchNorm1d):
        return 0
    projection[0], projection[1] = fuse_linear_bn_eval(linear, norm), nn.Identity()
    return 1


@torch.no_grad()
def scale_and_shift(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Return what a normalisation in eval mode multiplies with and adds, per channel."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias - scale * norm.running_mean
