"""Frames that cannot help are refused, with the reason."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from lsm_core.errors import InputError
from lsm_core.mapping import check_frame, small_gray, small_intrinsics
from lsm_core.mapping.frame_check import sharpness

from .scenes import pose, texture, wall_view

WALL = texture()
GOOD = wall_view(WALL, pose())
NEXT = wall_view(WALL, pose(2.0))


def test_good_frames_pass() -> None:
    verdict = check_frame(NEXT, GOOD)
    assert verdict.ok and verdict.reason == "" and verdict.std > 10


@pytest.mark.parametrize("level", [0, 90, 255])
def test_constant_images_are_blank(level: int) -> None:
    rng = np.random.default_rng(0)
    noisy = np.clip(level + rng.normal(0, 1, GOOD.shape), 0, 255).astype(np.uint8)
    assert check_frame(noisy).reason == "blank"


def test_overexposed_image_is_saturated() -> None:
    assert check_frame(cv2.add(GOOD, np.full_like(GOOD, 160))).reason == "saturated"


def test_repeated_image_is_frozen_but_a_noisy_still_is_not() -> None:
    noise = np.random.default_rng(1).normal(0, 1.5, GOOD.shape)
    still = np.clip(GOOD + noise, 0, 255).astype(np.uint8)
    assert check_frame(GOOD, GOOD.copy()).reason == "frozen"
    assert check_frame(still, GOOD).ok


def test_strong_blur_is_refused_and_light_blur_is_not() -> None:
    assert check_frame(cv2.GaussianBlur(GOOD, (0, 0), 1.0)).ok
    assert check_frame(cv2.GaussianBlur(GOOD, (0, 0), 8.0)).reason == "blurred"


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_neither_rounding_nor_noise_makes_a_defocused_picture_sharp(noise: float) -> None:
    defocused = cv2.GaussianBlur(GOOD, (0, 0), 12.0).astype(float)
    grain = np.random.default_rng(0).normal(0, noise, GOOD.shape)
    assert check_frame(np.clip(defocused + grain, 0, 255).astype(np.uint8)).reason == "blurred"


def test_motion_blur_lowers_sharpness() -> None:
    motion = np.zeros((31, 31), np.float32)
    motion[15] = 1 / 31
    assert sharpness(cv2.filter2D(GOOD, -1, motion)) < 0.6 * sharpness(GOOD)
    assert sharpness(cv2.filter2D(GOOD, -1, motion.T)) < 0.6 * sharpness(GOOD)


def test_sharpness_falls_with_blur_and_ignores_contrast() -> None:
    values = [sharpness(cv2.GaussianBlur(GOOD, (0, 0), s) if s else GOOD) for s in (0, 1, 2, 4, 8)]
    assert values == sorted(values, reverse=True) and values[0] > 2 * values[-1]
    assert sharpness((GOOD // 2).astype(np.uint8)) == pytest.approx(sharpness(GOOD), abs=0.05)


def test_filling_of_a_cut_transfer_is_torn() -> None:
    torn = NEXT.copy()
    torn[170:] = 128
    assert check_frame(torn, GOOD).reason == "torn"


def test_lower_part_of_the_last_frame_is_torn() -> None:
    torn = NEXT.copy()
    torn[150:] = GOOD[150:]
    assert check_frame(torn, GOOD).reason == "torn"


def test_one_moving_thing_in_a_still_noise_free_view_is_not_torn() -> None:
    moved = GOOD.copy()
    moved[20:80, 50:100] = 255 - moved[20:80, 50:100]
    assert check_frame(moved, GOOD).ok


def test_letterbox_bars_are_not_torn() -> None:
    boxed = GOOD.copy()
    boxed[:30] = 0
    boxed[-30:] = 0
    assert check_frame(boxed).ok


def test_previous_of_another_size_is_ignored() -> None:
    assert check_frame(GOOD, GOOD[:100]).ok


def test_small_gray_keeps_aspect_and_width_limit() -> None:
    image = np.random.default_rng(0).integers(0, 255, (720, 1280, 3), dtype=np.uint8)
    assert small_gray(image).shape == (180, 320)
    assert small_gray(image[:100, :200]).shape == (100, 200)
    assert small_gray(image[..., 0]).shape == (180, 320)


def test_small_gray_weighs_colours_as_rgb() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 255
    assert int(small_gray(red)[0, 0]) == 76  # 0.299 * 255


def test_small_intrinsics_keep_the_ray_of_a_corner() -> None:
    K = np.array([[900.0, 0, 639.5], [0, 880.0, 359.5], [0, 0, 1]])
    gray = np.zeros((180, 320), np.uint8)
    small = small_intrinsics(K, (720, 1280), gray)
    for full, reduced in (((-0.5, -0.5), (-0.5, -0.5)), ((1279.5, 719.5), (319.5, 179.5))):
        ray = np.linalg.solve(K, [*full, 1.0])
        assert np.allclose(ray, np.linalg.solve(small, [*reduced, 1.0]))


@pytest.mark.parametrize("bad", [np.zeros((8, 8), np.uint8), np.zeros((32, 32), np.float32), "image"])
def test_small_gray_refuses_what_is_no_image(bad: object) -> None:
    with pytest.raises(InputError):
        small_gray(bad)  # type: ignore[arg-type]


def crete_sharpness(gray: np.ndarray) -> float:
    """Return sharpness as the paper writes it, in floats; the twin of the fast one."""
    image = gray.astype(np.float64)
    kept = []
    for axis, size in ((0, (1, 9)), (1, (9, 1))):
        fine = np.maximum(np.abs(np.diff(image, axis=axis)) - 2, 0)
        coarse = np.abs(np.diff(cv2.blur(image, size), axis=axis))
        kept.append(np.maximum(fine - coarse, 0).sum() / fine.sum())
    return float(min(kept))


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0])
def test_fast_sharpness_equals_its_readable_twin(sigma: float) -> None:
    image = cv2.GaussianBlur(GOOD, (0, 0), sigma) if sigma else GOOD
    assert sharpness(image) == pytest.approx(crete_sharpness(image), abs=1e-9)


@pytest.mark.parametrize("size", [(1280, 720), (848, 480), (1923, 1081), (400, 300)])
def test_small_gray_is_close_to_one_mean_over_areas(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 255, (90, 120, 3), dtype=np.uint8), size)
    fast = small_gray(image)
    twin = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), fast.shape[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(fast.astype(int) - twin).max() <= 12 and np.abs(fast.astype(int) - twin).mean() < 2.5
