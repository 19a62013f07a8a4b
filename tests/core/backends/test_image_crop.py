"""The reference's crop rules, and the way back from the model's grid to the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lsm_core.backends.image_crop import crop_plan, prepare


@pytest.mark.parametrize(
    ("size", "square_ok", "image", "expected"),
    [
        (512, False, (640, 480), (512, 384)),
        (512, False, (1296, 968), (512, 352)),
        (512, False, (512, 512), (512, 384)),
        (512, True, (512, 512), (512, 512)),
        (256, False, (640, 480), (256, 256)),
        (224, False, (1000, 333), (224, 224)),
        (512, False, (480, 640), (384, 512)),
    ],
)
def test_sizes(size: int, square_ok: bool, image: tuple[int, int], expected: tuple[int, int]) -> None:
    assert crop_plan(*image, size, square_ok).size == expected


def test_sixteen_keeps_more_than_thirty_two() -> None:
    assert crop_plan(1296, 968, 512, multiple=16).size == (512, 368)


@pytest.mark.parametrize("size", [256, 512])
@pytest.mark.parametrize("shape", [(480, 640), (300, 200), (90, 300)])
def test_the_grid_maps_back_to_where_the_pixel_came_from(size: int, shape: tuple[int, int]) -> None:
    height, width = shape
    ramp_x = np.linspace(0, 255, width, dtype=np.float32)[None].repeat(height, 0)
    ramp_y = np.linspace(0, 255, height, dtype=np.float32)[:, None].repeat(width, 1)
    image = np.stack([ramp_x, ramp_y, np.zeros(shape)], -1).round().astype(np.uint8)
    found = prepare(image, crop_plan(width, height, size))
    h, w = found.pixels.shape[:2]
    for x, y in ((w // 2, h // 2), (w // 4, h // 3), (3 * w // 4, 2 * h // 3)):
        at = found.grid_to_image @ torch.tensor([float(x), float(y), 1.0])
        assert float(found.pixels[y, x, 0]) == pytest.approx(float(at[0]) * 255 / (width - 1), abs=2.0)
        assert float(found.pixels[y, x, 1]) == pytest.approx(float(at[1]) * 255 / (height - 1), abs=2.0)


def test_the_network_sees_minus_one_to_one() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255
    tensor = prepare(image, crop_plan(64, 64, 256)).tensor
    assert tensor.shape == (1, 3, 256, 256)
    assert float(tensor.min()) == -1.0 and float(tensor.max()) == 1.0
