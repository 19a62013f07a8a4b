"""Submanifold sparse convolution (Graham et al. 2018): outputs live where inputs do.

Where several points share a voxel the result follows a rule (lowest index wins). With P the voxel of point i:

    out_i = W_centre f_i + sum over the second half of the taps of W_k f_winner(P + k)
            + (only where i is the winner of P) sum over the first half of the taps of W_k (sum of f over P + k)

This is what the spconv library computes on a CPU, and it is the common definition where no voxel is shared.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lsm_core.points.voxels import Voxels

CHUNK = 1 << 24  # gathered numbers at a time


class SubmanifoldConv(nn.Module):
    """Cross-correlation with a cubic kernel; weight [out, kx, ky, kz, in], axes in the order of the coordinates."""

    def __init__(self, in_channels: int, out_channels: int, size: int, bias: bool = True) -> None:
        super().__init__()
        self.size = size
        self.weight = nn.Parameter(torch.empty(out_channels, size, size, size, in_channels))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        nn.init.normal_(self.weight, std=(in_channels * size**3) ** -0.5)

    def forward(self, features: Tensor, voxels: Voxels) -> Tensor:
        """Convolve.

        Args:
            features: [N, in].
            voxels: where the N points are.

        Returns:
            [N, out].
        """
        taps = self.weight.flatten(1, 3)  # [out, K, in]
        centre = taps.shape[1] // 2
        neighbours = voxels.neighbours(self.size)
        winners = features[voxels.winner]
        if voxels.unique:
            sides = torch.cat((neighbours[:, :centre], neighbours[:, centre + 1 :]), 1)
            outer = torch.cat((taps[:, :centre], taps[:, centre + 1 :]), 1)
            out = gathered_product(winners, sides, outer)[voxels.of_point]
        else:
            second = gathered_product(winners, neighbours[:, centre + 1 :], taps[:, centre + 1 :])
            first = gathered_product(voxels.summed(features), neighbours[:, :centre], taps[:, :centre])
            out = second[voxels.of_point]
            out = out.index_add(0, voxels.winner, first)
        out = out + features @ taps[:, centre].T
        return out if self.bias is None else out + self.bias


def gathered_product(values: Tensor, index: Tensor, taps: Tensor) -> Tensor:
    """Return sum over k of taps[:, k] @ values[index[:, k]], [U, out], in slices that bound the memory.

    Args:
        values: [U, in].
        index: [U, K]; U stands for zero.
        taps: [out, K, in].
    """
    padded = torch.cat((values, values.new_zeros(1, values.shape[1])))
    flat = taps.flatten(1).T
    rows = max(1, CHUNK // max(1, flat.shape[0]))
    return torch.cat([padded[part].flatten(1) @ flat for part in index.split(rows)])
