"""What the losses compare with: depth at each level and where each 1/8 cell lies in the other view."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.nn.tiny.epipolar import project, transform
from lsm_core.nn.tiny.rays import cell_centres, rays_from_intrinsics
from lsm_core.training.batches import PairBatch

CELL = 8  # px per matching cell


@dataclass(frozen=True)
class Correspondences:
    """Where each cell centre of a view lies in the other view; views stacked."""

    cell_xy: Tensor  # [2B, N, 2] float32 cells of the other view
    visible: Tensor  # [2B, N] bool, seen there too
    known: Tensor  # [2B, N] bool, whether visibility is known (the cell has depth)


def depth_at(depth: Tensor, stride: int) -> Tensor:
    """Pick depth [B, H, W] at the pixel next to each cell's centre; [B, H/stride, W/stride]."""
    start = stride // 2
    return depth[:, start::stride, start::stride]


def cell_depth(depth: Tensor) -> Tensor:
    """Mean depth of the 2x2 pixels about each 1/8 cell's centre, 0 where they differ by over 8 %."""
    low, high = CELL // 2 - 1, CELL // 2
    block = torch.stack([depth[:, i::CELL, j::CELL] for i in (low, high) for j in (low, high)])
    smooth = (block.amin(0) > 0) & (block.amax(0) < 1.08 * block.amin(0))
    return block.mean(0) * smooth


def correspondences(batch: PairBatch) -> Correspondences:
    """Project every cell centre into the other view and test that it is seen there."""
    depth = cell_depth(batch.depth)
    count, h, w = depth.shape
    height, width = batch.depth.shape[1:]
    rays = rays_from_intrinsics(batch.K, cell_centres(h, w, CELL, depth))
    first, second = batch.K.chunk(2)
    moved = transform(batch.T_other_self, rays * depth[..., None])
    pixel, z = project(moved, torch.cat((second, first)))
    column, row = pixel[..., 0].round().long(), pixel[..., 1].round().long()
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height) & (z > 0.05)
    a, b = batch.depth.chunk(2)
    other = torch.cat((b, a)).flatten(1)
    index = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).flatten(1)
    surface = other.gather(1, index).view(count, h, w)
    agrees = (surface > 0) & ((z - surface).abs() < 0.05 * z + 0.02)
    known = depth > 0
    visible = known & inside & agrees
    cell = (pixel - (CELL - 1) / 2.0) / CELL
    return Correspondences(cell.flatten(1, 2), visible.flatten(1), known.flatten(1))


def soft_target(cell_xy: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Spread a sub-cell position over its four neighbours.

    Args:
        cell_xy: [..., 2] cells.

    Returns:
        index [..., 4] int64 flat cells, weight [..., 4] float32 summing to one.
    """
    x = cell_xy[..., 0].clamp(0, width - 1)
    y = cell_xy[..., 1].clamp(0, height - 1)
    x0, y0 = x.floor().clamp(max=width - 2), y.floor().clamp(max=height - 2)
    fx, fy = x - x0, y - y0
    weight = torch.stack(((1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy), dim=-1)
    base = (y0 * width + x0).long()
    return torch.stack((base, base + 1, base + width, base + width + 1), dim=-1), weight


def bin_target(residual: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Spread a log-depth residual over the two hypotheses around it.

    Args:
        residual: [...] ln(true) - ln(first guess).
        offsets: [K] evenly spaced hypotheses.

    Returns:
        lower [...] int64 index, weight [...] of the hypothesis above it, in [0, 1].
    """
    step = offsets[1] - offsets[0]
    place = ((residual - offsets[0]) / step).clamp(0, len(offsets) - 1 - 1e-4)
    lower = place.floor()
    return lower.long(), place - lower


def pair_log_shift(log_depth: Tensor, depth: Tensor) -> Tensor:
    """Median of ln(predicted) - ln(true) over both views of each pair.

    Args:
        log_depth: [2B, h, w] predicted.
        depth: [2B, h, w] true, 0 = none.

    Returns:
        [B], zero where a pair has no depth.
    """
    valid = depth > 0
    shift = torch.where(valid, log_depth - depth.clamp_min(1e-3).log(), torch.nan)
    first, second = shift.flatten(1).chunk(2)
    return torch.cat((first, second), dim=1).nanmedian(dim=1).values.nan_to_num(0.0)
