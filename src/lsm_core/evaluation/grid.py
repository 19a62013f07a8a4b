"""Ground truth on a prediction's own grid: nearest pixel lookup through `grid_to_image`."""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.geometry.camera import apply_affine, in_image, pixel_grid
from lsm_core.types import Prediction


def sample_on_grid(prediction: Prediction, view: int, values: Tensor) -> Tensor:
    """Look an image-sized map up at the grid pixels of a view.

    Args:
        prediction: gives the grid and its place in the image.
        view: which view.
        values: [H, W, ...] map at the size of the image given as that view; 0 means unknown.

    Returns:
        [h, w, ...] nearest values on the CPU, 0 where a grid pixel lies outside the image.
    """
    h, w = prediction.pointmaps[view].shape[:2]
    height, width = int(values.shape[0]), int(values.shape[1])
    pixels = apply_affine(prediction.grid_to_image[view].detach().cpu().float(), pixel_grid(int(h), int(w)))
    inside = in_image(pixels, height, width)
    x = pixels[..., 0].round().long().clamp(0, width - 1)
    y = pixels[..., 1].round().long().clamp(0, height - 1)
    out = values[y, x].clone()
    out[~inside] = 0
    return out


def grid_intrinsics(prediction: Prediction, view: int, K_image: Tensor) -> Tensor:
    """Return the intrinsics [3, 3] float32 of a view's grid that belong to known intrinsics of its image."""
    return torch.linalg.inv(prediction.grid_to_image[view].detach().cpu().double()).float() @ K_image.float()
