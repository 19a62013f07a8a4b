"""Batch normalisation with fixed statistics is a scale and a shift: it goes into the layer before it.

What stays: the normalisation after a pooling of Point Transformer V3, which follows a maximum over points. A
channel that it scales by a negative number would need the minimum instead.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from lsm_core.nn.dpt import ResidualConvUnit
from lsm_core.points.ptv3 import Stem, Up


def fold_batch_norms(network: nn.Module) -> int:
    """Fold what can be folded, in place; the results are the same up to rounding. Return how many were.

    Args:
        network: in eval mode. Its state dict no longer has the keys of the checkpoint.
    """
    count = 0
    for module in network.modules():
        if isinstance(module, ResidualConvUnit):
            count += _fold_unit(module)
        elif isinstance(module, Stem):
            count += _fold_stem(module)
        elif isinstance(module, Up):
            count += _fold_projection(module.proj) + _fold_projection(module.proj_skip)
    return count


def _fold_unit(unit: ResidualConvUnit) -> int:
    count = 0
    for conv, norm in (("conv1", "bn1"), ("conv2", "bn2")):
        if isinstance(getattr(unit, norm), nn.BatchNorm2d):
            setattr(unit, conv, fuse_conv_bn_eval(getattr(unit, conv), getattr(unit, norm)))
            setattr(unit, norm, nn.Identity())
            count += 1
    return count


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
