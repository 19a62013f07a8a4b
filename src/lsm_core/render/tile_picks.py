"""Median depth and strongest Gaussian per pixel from gsplat's own tile lists; plain torch, on any device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lsm_core.render.base import ALPHA_MIN, MEDIAN_TRANSMITTANCE, TRANSMITTANCE_MIN

ALPHA_MAX = 0.999  # gsplat's
CHECK_EVERY = 32  # Gaussians between two looks at whether every pixel is done


@torch.no_grad()
def tile_picks(meta: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Walk the lists of all tiles at once, one Gaussian of each list per step.

    Args:
        meta: the third result of `gsplat.rasterization(..., packed=False)`: means2d [C, N, 2], conics [C, N, 3],
            depths [C, N], opacities [C, N], isect_offsets [C, rows, columns], flatten_ids, tile_size and the size.

    Returns:
        Median depth [C, H, W] and index of the strongest Gaussian [C, H, W] int32, as `RenderResult` has them.
    """
    means, conics, depths = (meta[name].flatten(0, 1) for name in ("means2d", "conics", "depths"))
    count = meta["means2d"].shape[1]
    opacities = meta["opacities"].expand(meta["depths"].shape).flatten()
    offsets, members = meta["isect_offsets"], meta["flatten_ids"].long()
    starts = offsets.flatten().long()
    lengths = torch.diff(starts, append=starts.new_tensor([len(members)]))
    x, y = _pixel_grid(offsets.shape, meta["tile_size"], means)
    transmittance, largest, median = torch.ones_like(x), torch.zeros_like(x), torch.zeros_like(x)
    best = torch.full_like(x, -1, dtype=torch.int32)
    for step in range(int(lengths.max()) if len(members) else 0):
        if step % CHECK_EVERY == 0 and not bool((transmittance > 0).any()):
            break
        here = (step < lengths)[:, None]
        i = members[(starts + step).clamp(max=len(members) - 1)]
        dx, dy = x - means[i, 0, None], y - means[i, 1, None]
        a, b, c = (conics[i, k, None] for k in range(3))
        power = -0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy
        alpha = (opacities[i, None] * torch.exp(power)).clamp(max=ALPHA_MAX)
        alpha = torch.where(here & (power <= 0) & (alpha >= ALPHA_MIN), alpha, 0.0)
        after = transmittance * (1 - alpha)
        weight = torch.where(after > TRANSMITTANCE_MIN, transmittance * alpha, 0.0)
        crosses = (transmittance > MEDIAN_TRANSMITTANCE) & (after <= MEDIAN_TRANSMITTANCE)
        median = torch.where(crosses, depths[i, None], median)
        best = torch.where(weight > largest, (i % count)[:, None].int(), best)
        largest = torch.maximum(largest, weight)
        transmittance = torch.where(after > TRANSMITTANCE_MIN, after, 0.0)
    cut = (int(meta["height"]), int(meta["width"]))
    return _image(median, offsets.shape, cut), _image(best, offsets.shape, cut)


def _pixel_grid(tiles: torch.Size, size: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return x and y [C * rows * columns, size * size] of pixel centres; (0, 0) is a corner of the image."""
    cameras, rows, columns = tiles
    within = torch.arange(size, device=like.device).to(like) + 0.5
    corner_y = torch.arange(rows, device=like.device).to(like) * size
    corner_x = torch.arange(columns, device=like.device).to(like) * size
    y = (corner_y[:, None, None, None] + within[:, None]).expand(rows, columns, size, size)
    x = (corner_x[None, :, None, None] + within).expand(rows, columns, size, size)
    shape = (rows * columns, size * size)
    return x.reshape(shape).repeat(cameras, 1), y.reshape(shape).repeat(cameras, 1)


def _image(values: Tensor, tiles: torch.Size, size: tuple[int, int]) -> Tensor:
    """Turn [C * rows * columns, tile pixels] into images [C, H, W]."""
    cameras, rows, columns = tiles
    edge = round(values.shape[1] ** 0.5)
    whole = values.reshape(cameras, rows, columns, edge, edge).transpose(2, 3)
    return whole.reshape(cameras, rows * edge, columns * edge)[:, : size[0], : size[1]]
