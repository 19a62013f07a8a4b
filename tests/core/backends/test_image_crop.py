"""The reference's crop rules, and the way back from the model's grid to the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lsm_core.backends.image_crop import crop_plan, dataset_plan, prepare
from lsm_core.data.crop_resize import RgbdView, crop_resize
from lsm_core.errors import InputError


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


@pytest.mark.parametrize(
    ("image", "point", "resolution"),
    [
        ((480, 640), (319.5, 239.5), (256, 256)),
        ((480, 640), (300.2, 250.9), (256, 256)),
        ((640, 480), (250.0, 310.0), (512, 384)),
        ((300, 500), (240.0, 140.0), (512, 384)),
        ((101, 133), (60.4, 49.6), (256, 256)),
    ],
)
def test_about_the_principal_point_it_is_the_data_sets_crop(
    image: tuple[int, int], point: tuple[float, float], resolution: tuple[int, int]
) -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (*image, 3), dtype=np.uint8)
    K = np.array([[500, 0, point[0]], [0, 500, point[1]], [0, 0, 1]], np.float32)
    expected = crop_resize(RgbdView(rgb, np.ones(image, np.float32), K), resolution, np.random.default_rng(0))
    found = prepare(rgb, dataset_plan(image[1], image[0], point, resolution[0]))
    assert np.array_equal(found.pixels, expected.image)
    K_grid = torch.linalg.inv(found.grid_to_image.double()).numpy() @ K
    assert K_grid == pytest.approx(expected.K, rel=0.02, abs=1.0)  # the reference drops what rounding adds


def test_a_principal_point_at_the_border_is_refused() -> None:
    with pytest.raises(InputError, match="too near its border"):
        dataset_plan(640, 480, (3.0, 200.0), 256)


def test_the_network_sees_minus_one_to_one() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255
    tensor = prepare(image, crop_plan(64, 64, 256)).tensor
    assert tensor.shape == (1, 3, 256, 256)
    assert float(tensor.min()) == -1.0 and float(tensor.max()) == 1.0
