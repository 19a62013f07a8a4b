"""One depth per pixel from the two that a rasterizer gives."""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.types import RenderResult

MIXED = 0.03  # of the depth: a larger difference of expected and median depth is a mix of layers


def surface_depth(seen: RenderResult) -> Tensor:
    """Return [H, W] the depth of the surface seen, scene units, 0 where nothing hides half of what is behind it.

    It is the expected depth, which is smooth, but the median where both differ since layers are mixed: the expected
    depth lies between the surfaces there.

    Args:
        seen: drawn with picks.
    """
    assert seen.median_depth is not None
    expected, median = seen.depth.detach(), seen.median_depth
    mixed = (expected - median).abs() >= MIXED * median
    return torch.where(mixed, median, expected)
