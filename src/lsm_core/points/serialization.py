"""Integer coordinates to positions on space-filling curves (Morton's z-order; Hilbert's as in Skilling 2004)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ORDERS = ("z", "z-trans", "hilbert", "hilbert-trans")


def curve_codes(grid: Tensor, batch: Tensor, depth: int, orders: Sequence[str] = ORDERS) -> Tensor:
    """Return the place of each point on each curve.

    Args:
        grid: [N, 3] integers, 0 <= value < 2^depth.
        batch: [N] index of each point's sample; samples never mix: it is the most significant part.
        depth: bits per axis, at most 16.
        orders: names out of ORDERS; "-trans" swaps the first two axes.

    Returns:
        [len(orders), N] int64.
    """
    grid = grid.to(torch.int64)
    codes = []
    for order in orders:
        axes = grid[:, [1, 0, 2]] if order.endswith("-trans") else grid
        words = axes_to_transpose(axes, depth) if order.startswith("hilbert") else axes
        codes.append(interleaved(words, depth))
    return torch.stack(codes) | (batch.to(torch.int64) << 3 * depth)


def interleaved(words: Tensor, depth: int) -> Tensor:
    """Interleave the bits of [N, 3] words: bit i of the axes goes to 3i + 2, 3i + 1 and 3i."""
    code = torch.zeros(len(words), dtype=torch.int64, device=words.device)
    for bit in range(depth):
        for axis in range(3):
            code |= ((words[:, axis] >> bit) & 1) << (3 * bit + 2 - axis)
    return code


def axes_to_transpose(axes: Tensor, depth: int) -> Tensor:
    """Return the transposed form of the Hilbert index of [N, 3] coordinates with `depth` bits each.

    Source: J. Skilling, "Programming the Hilbert curve", AIP Conf. Proc. 707 (2004).
    """
    x = list(axes.to(torch.int64).unbind(1))
    for bit in range(depth - 1, 0, -1):
        low = (1 << bit) - 1
        for axis in range(3):
            is_set = ((x[axis] >> bit) & 1).bool()
            swap = torch.where(is_set, 0, (x[0] ^ x[axis]) & low)
            x[0] = torch.where(is_set, x[0] ^ low, x[0] ^ swap)
            if axis:
                x[axis] = x[axis] ^ swap
    x[1] = x[1] ^ x[0]
    x[2] = x[2] ^ x[1]
    flip = torch.zeros_like(x[0])
    for bit in range(depth - 1, 0, -1):
        flip = torch.where(((x[2] >> bit) & 1).bool(), flip ^ ((1 << bit) - 1), flip)
    return torch.stack([word ^ flip for word in x], 1)
