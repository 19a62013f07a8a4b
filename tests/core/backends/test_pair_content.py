"""What is blank, and what is one view."""

from __future__ import annotations

import numpy as np
import pytest

from lsm_core.backends.pair_content import is_blank, pair_content


def scene(seed: int, contrast: int = 60) -> np.ndarray:
    """Return a picture of few coarse blotches."""
    blotches = np.random.default_rng(seed).integers(100, 100 + contrast, (6, 8, 3), dtype=np.uint8)
    return blotches.repeat(40, 0).repeat(40, 1)


@pytest.mark.parametrize("level", [0, 30, 255])
@pytest.mark.parametrize("noise", [0, 6])
def test_one_colour_is_blank_with_and_without_noise(level: int, noise: int) -> None:
    rng = np.random.default_rng(0)
    image = np.clip(level + rng.normal(0, 1, (480, 640, 3)) * noise, 0, 255).astype(np.uint8)
    assert is_blank(image) and pair_content(image, scene(1)) == pair_content(scene(1), image) == "blank"


@pytest.mark.parametrize("contrast", [60, 8])
def test_a_scene_is_not_blank_even_in_bad_light(contrast: int) -> None:
    assert not is_blank(scene(0, contrast)) and pair_content(scene(0, contrast), scene(1)) == "two views"


def test_the_same_pixels_are_one_view() -> None:
    image = scene(2)
    assert pair_content(image, image) == pair_content(image, image.copy()) == "one view"
    other = image.copy()
    other[3, 4, 1] += 1
    assert pair_content(image, other) == pair_content(image, image[:-1]) == "two views"
