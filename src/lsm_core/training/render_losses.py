"""What NoPoSplat and pixelSplat compare drawn views with: colours, and smoothness of the drawn depth."""

from __future__ import annotations

import torch
from torch import Tensor

DEPTH_WEIGHT = 0.25


def colour_loss(drawn: Tensor, target: Tensor, weight: float = 1.0) -> Tensor:
    """Return the weighted mean squared difference of images of one shape."""
    return weight * (drawn - target).square().mean()


def depth_smoothness_loss(
    depth: Tensor,
    near: Tensor,
    far: Tensor,
    target: Tensor | None = None,
    sigma: float = 0.0,
    second: bool = False,
    weight: float = DEPTH_WEIGHT,
) -> Tensor:
    """Return the weighted mean absolute differences of neighbouring depths, x and y added.

    As in the released code, the depth itself is limited to log near .. log far, not its logarithm, and a difference
    counts exp(-sigma g), where g is the largest signed difference of the target's colours: brighter neighbours
    count less, darker ones more than 1.

    Args:
        depth: [B, V, H, W] scene units.
        near, far: [B, V] scene units.
        target: [B, V, 3, H, W], where edges of colour may be edges of depth; None counts all differences fully.
        sigma: how much less.
        second: take differences of differences.
        weight: of the loss.
    """
    low, high = near.log()[..., None, None], far.log()[..., None, None]
    limited = (torch.minimum(torch.maximum(depth, low), high) - low) / (high - low)
    parts = []
    for axis in (-1, -2):
        change = limited.diff(dim=axis)
        edge = None if target is None else target.diff(dim=axis).amax(-3)
        if second:
            change = change.diff(dim=axis)
            edge = None if edge is None else _larger_neighbour(edge, axis)
        counted = change.abs() if edge is None else change.abs() * (-sigma * edge).exp()
        parts.append(counted.mean())
    return weight * (parts[0] + parts[1])


def _larger_neighbour(values: Tensor, axis: int) -> Tensor:
    """Return the larger of each two neighbours along an axis, one fewer than values."""
    count = values.shape[axis]
    return torch.maximum(values.narrow(axis, 1, count - 1), values.narrow(axis, 0, count - 1))
