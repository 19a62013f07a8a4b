"""How an image of any size is put on lsm-tiny's input grid, and back.

The whole image is resized to the grid whose aspect is nearest; the small change of aspect that is
left (at most 8 %) is part of the affine and of the intrinsics (fx and fy then differ), so geometry
stays exact. Only images further from every grid (wider than 1.94, taller than 1 : 1.94) lose their
outer margin to a centre crop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.geometry import crop_affine, resize_affine

# (height, width) in px: about 49,000 pixels each, multiples of 32
GRIDS: tuple[tuple[int, int], ...] = (
    (192, 256), (192, 288), (160, 288), (224, 224), (256, 192), (288, 192), (288, 160),
)  # fmt: skip
MAX_STRETCH = 1.08
OUTPUT_STRIDE = 2  # the network's outputs have half the input's resolution


@dataclass(frozen=True)
class GridPlacement:
    """An image on an input grid."""

    rgb: NDArray[np.uint8]  # [height, width, 3]
    grid_to_image: Tensor  # [3, 3] float32, input-grid pixel -> pixel of the image given


def choose_grid(image_size: tuple[int, int]) -> tuple[int, int]:
    """Return the grid (height, width) nearest in aspect to an image of (height, width)."""
    aspect = image_size[1] / image_size[0]
    return min(GRIDS, key=lambda grid: abs(math.log(grid[1] / grid[0] / aspect)))


def place_on_grid(image: NDArray[np.uint8], grid: tuple[int, int]) -> GridPlacement:
    """Crop where the aspect is too far off, then resize to the grid.

    Args:
        image: [H, W, 3] uint8.
        grid: (height, width) px.
    """
    left, top, width, height = kept_window((image.shape[0], image.shape[1]), grid)
    window = image[top : top + height, left : left + width]
    smaller = grid[0] < height or grid[1] < width
    rgb = cv2.resize(window, (grid[1], grid[0]), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    to_grid = resize_affine((height, width), grid).double() @ crop_affine(float(left), float(top)).double()
    return GridPlacement(np.ascontiguousarray(rgb), torch.linalg.inv(to_grid).float())


def kept_window(image_size: tuple[int, int], grid: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return (left, top, width, height) in px of the part of the image that goes on the grid."""
    height, width = image_size
    aspect, wanted = width / height, grid[1] / grid[0]
    if aspect > wanted * MAX_STRETCH:
        width = round(height * wanted * MAX_STRETCH)
    elif aspect < wanted / MAX_STRETCH:
        height = round(width / wanted * MAX_STRETCH)
    return (image_size[1] - width) // 2, (image_size[0] - height) // 2, width, height


def output_to_input() -> Tensor:
    """Return the [3, 3] affine from a pixel of the output grid to a pixel of the input grid."""
    offset = (OUTPUT_STRIDE - 1) / 2.0
    return torch.tensor([[OUTPUT_STRIDE, 0, offset], [0, OUTPUT_STRIDE, offset], [0, 0, 1]], dtype=torch.float32)
