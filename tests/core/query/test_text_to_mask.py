"""Scores from the feature grid to the image, and labels from scores, each against a plain account of the rule."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from lsm_core.query.text_to_mask import masks_and_labels, to_image


def covering(grid: tuple[int, int], image: tuple[int, int]) -> NDArray[np.float64]:
    """Return the affine of a grid that covers an image, sizes (height, width)."""
    sx, sy = image[1] / grid[1], image[0] / grid[0]
    return np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])


def enlarged_pixel_by_pixel(
    scores: NDArray[np.float32], grid_to_image: NDArray[np.float64], image: tuple[int, int]
) -> NDArray[np.float64]:
    """Return bilinear values at each pixel's place on the grid, the edge repeated, in double precision."""
    h, w = scores.shape
    x, y = np.meshgrid(np.arange(image[1]), np.arange(image[0]))
    u, v, _ = np.linalg.inv(grid_to_image) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    u, v = np.clip(u, 0, w - 1), np.clip(v, 0, h - 1)
    i, j = np.minimum(v.astype(int), h - 2), np.minimum(u.astype(int), w - 2)
    a, b = v - i, u - j
    s = scores.astype(np.float64)
    above = (1 - b) * s[i, j] + b * s[i, j + 1]
    below = (1 - b) * s[i + 1, j] + b * s[i + 1, j + 1]
    return np.asarray(((1 - a) * above + a * below).reshape(image))


@pytest.mark.parametrize("image", [(48, 64), (45, 80), (50, 70), (12, 16), (131, 97)])
def test_a_grid_that_covers_the_image_is_enlarged_bilinearly(image: tuple[int, int]) -> None:
    scores = np.random.default_rng(0).random((12, 16), dtype=np.float32)
    affine = covering((12, 16), image)
    large = to_image(scores, affine, image)
    assert large.shape == image and large.dtype == np.float32
    assert np.abs(large - enlarged_pixel_by_pixel(scores, affine, image)).max() < 1e-4


def test_the_fast_way_and_the_general_one_agree() -> None:
    scores = np.random.default_rng(1).random((12, 16), dtype=np.float32)
    image = (45, 83)
    affine = covering((12, 16), image)
    fast = to_image(scores, affine, image)
    nearly = affine.copy()
    nearly[0, 2] += 2e-3  # no longer exactly covering: the general way
    # OpenCV may round places to 1/32 of a grid pixel there.
    assert np.abs(fast - to_image(scores, nearly, image)).max() < 1 / 16


@pytest.mark.parametrize("shift", [-3.0, 3.0])
def test_a_shifted_grid_leaves_pixels_without_a_score(shift: float) -> None:
    affine = covering((12, 16), (48, 64))
    affine[0, 2] += shift
    large = to_image(np.ones((12, 16), np.float32), affine, (48, 64))
    assert (large == 0).any(axis=0).sum() == 3
    assert (large[:, 3:-3] == 1).all()


@pytest.mark.parametrize("seed", range(4))
def test_labels_are_the_best_text_among_those_above_their_threshold(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = [np.round(rng.random((20, 30)), 1).astype(np.float32) for _ in range(4)]  # so coarse that some tie
    thresholds = [0.5, 0.7, 0.0, math.inf]
    masks, labels = masks_and_labels(scores, thresholds)
    for row in range(20):
        for column in range(30):
            best = -1
            for text, score in enumerate(scores):
                kept = score[row, column] >= thresholds[text]
                assert masks[text][row, column] == kept
                if kept and (best < 0 or score[row, column] > scores[best][row, column]):
                    best = text
            assert labels[row, column] == best
    assert labels.dtype == np.int32
