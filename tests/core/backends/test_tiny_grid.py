"""Images of any size reach the input grid whole, and the affine says where every pixel came from."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lsm_core.backends.tiny_grid import GRIDS, MAX_STRETCH, choose_grid, kept_window, output_to_input, place_on_grid
from lsm_core.geometry import apply_affine


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((360, 540), (192, 288)), ((378, 505), (192, 256)), ((480, 640), (192, 256)), ((720, 1280), (160, 288)),
        ((500, 500), (224, 224)), ((640, 480), (256, 192)), ((1280, 720), (288, 160)),
    ],
)  # fmt: skip
def test_common_sizes_are_kept_whole(size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert choose_grid(size) == grid
    assert kept_window(size, grid) == (0, 0, size[1], size[0])


def test_panoramas_lose_their_sides_and_not_their_shape() -> None:
    grid = choose_grid((100, 400))
    left, top, width, height = kept_window((100, 400), grid)
    assert (top, height) == (0, 100) and left == (400 - width) // 2
    assert width / height <= grid[1] / grid[0] * MAX_STRETCH + 0.01


@pytest.mark.parametrize("size", [(360, 540), (378, 505), (100, 400), (300, 120)])
def test_the_affine_maps_grid_pixels_to_the_image_they_show(size: tuple[int, int]) -> None:
    """The image holds its own coordinates as colours."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    scale = 255.0 / max(size)
    image = np.stack((x * scale, y * scale, 0 * x), -1).round().astype(np.uint8)
    grid = choose_grid(size)
    placed = place_on_grid(image, grid)
    v, u = torch.meshgrid(torch.arange(8.0, grid[0] - 8), torch.arange(8.0, grid[1] - 8), indexing="ij")
    there = apply_affine(placed.grid_to_image, torch.stack((u, v), -1))
    shown = torch.from_numpy(placed.rgb[8:-8, 8:-8, :2].astype(np.float32)) / scale
    assert float((there - shown).abs().max()) < 2.5 / scale + 1.0


def test_grids_are_what_the_network_can_take() -> None:
    assert all(height % 32 == 0 and width % 32 == 0 for height, width in GRIDS)


def test_output_pixels_sit_between_input_pixels() -> None:
    corner = apply_affine(output_to_input(), torch.tensor([0.0, 3.0]))
    torch.testing.assert_close(corner, torch.tensor([0.5, 6.5]))
