"""Dense matching at 1/8: correlation, dual softmax, sub-cell coordinates, mutual matches."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


def correlation(descriptors: Tensor) -> Tensor:
    """Return cosine similarity [2B, N, N] of each cell with every cell of the other view.

    Args:
        descriptors: [2B, D, h, w] unit norm, views stacked; N = h * w. Rows are the own cells.
    """
    flat = descriptors.flatten(2)
    first, second = flat.chunk(2, dim=0)
    forward = first.transpose(1, 2) @ second  # [B, N, N]
    return torch.cat((forward, forward.transpose(1, 2)), dim=0)


def local_expectation(probability: Tensor, height: int, width: int, radius: int = 2) -> Tensor:
    """Return the sub-cell position of each row's peak: the mean in a window around the maximum.

    Args:
        probability: [B, N, M] rows that sum to about one, M = height * width.
        radius: half size of the window, in cells.

    Returns:
        [B, N, 2] (x, y) in cells of the other view, float32.
    """
    peak = probability.argmax(dim=-1)  # [B, N]
    peak_y, peak_x = peak // width, peak % width
    offsets = torch.arange(-radius, radius + 1, device=probability.device)
    dy, dx = torch.meshgrid(offsets, offsets, indexing="ij")
    y = peak_y[..., None] + dy.reshape(-1)  # [B, N, K]
    x = peak_x[..., None] + dx.reshape(-1)
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    index = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
    weight = probability.gather(-1, index).float() * inside
    weight = weight / weight.sum(-1, keepdim=True).clamp_min(1e-8)
    return torch.stack(((weight * x).sum(-1), (weight * y).sum(-1)), dim=-1)


@dataclass(frozen=True)
class Matches:
    """Mutual matches of one pair at cell resolution."""

    cell_0: Tensor  # [M] int64 flat cell index in view 0
    cell_1: Tensor  # [M] int64 flat cell index in view 1
    xy_0: Tensor  # [M, 2] float32 cells of view 0 where view 1's cell centre lies
    xy_1: Tensor  # [M, 2] float32 cells of view 1 where view 0's cell centre lies
    score: Tensor  # [M] float32 in [0, 1]


def mutual_matches(logits: Tensor, matchability: Tensor, height: int, width: int, min_score: float) -> Matches:
    """Pick mutual nearest neighbours by dual softmax (Rocco et al. 2018; LoFTR 2021).

    Args:
        logits: [N, N] scaled similarity, rows view 0, columns view 1.
        matchability: [2, N] probability that a cell is seen in the other view.
        min_score: matches below this dual-softmax probability x matchability are dropped.
    """
    row, column = logits.softmax(dim=1), logits.softmax(dim=0)
    dual = row * column
    best_1 = dual.argmax(dim=1)
    best_0 = dual.argmax(dim=0)
    cells = torch.arange(dual.shape[0], device=dual.device)
    score_all = dual.max(dim=1).values.clamp_min(0).sqrt()
    score_all = score_all * (matchability[0] * matchability[1][best_1]).clamp_min(0).sqrt()
    keep = (best_0[best_1] == cells) & (score_all >= min_score)
    cell_0, cell_1 = cells[keep], best_1[keep]
    xy_1 = local_expectation(row[None, cell_0], height, width)[0]
    xy_0 = local_expectation(column.T[None, cell_1], height, width)[0]
    return Matches(cell_0, cell_1, xy_0, xy_1, score_all[keep])


def unit_descriptors(features: Tensor) -> Tensor:
    """Normalise [B, D, h, w] along D, in float32."""
    return F.normalize(features.float(), dim=1)
