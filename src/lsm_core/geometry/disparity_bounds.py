"""Nearest and farthest depth worth looking for, from how far apart the cameras are (pixelSplat's bounds shim)."""

from __future__ import annotations

import torch
from torch import Tensor

SMALLEST_BASELINE = 1e-6  # what the reference's bounds are made of at least


def largest_baseline(T_world_cam: Tensor) -> Tensor:
    """Return the largest distance [...] between the centres of cameras [..., V, 4, 4]."""
    centres = T_world_cam[..., :3, 3]
    return (centres[..., :, None, :] - centres[..., None, :, :]).norm(dim=-1).amax((-1, -2))


def pixel_footprint(K: Tensor, size: tuple[int, int]) -> Tensor:
    """Return what one pixel spans at distance 1, per axis.

    Args:
        K: [..., 3, 3] normalised.
        size: (height, width), pixels.

    Returns:
        [..., 2] for x and y.
    """
    height, width = size
    return torch.linalg.inv(K[..., :2, :2]) @ K.new_tensor([1 / width, 1 / height])


def depth_of_disparity(baseline: Tensor, K: Tensor, size: tuple[int, int], disparity_px: float) -> Tensor:
    """Return the depth at which two cameras see a disparity.

    Args:
        baseline: [...] between them; the reference takes `largest_baseline`, at least `SMALLEST_BASELINE`.
        K: [..., V, 3, 3] normalised.
        size: (height, width) of the images, pixels.
        disparity_px: mean of both axes and all views.

    Returns:
        [...] in the unit of the baseline.
    """
    return baseline / (disparity_px * pixel_footprint(K, size).mean((-1, -2)))
