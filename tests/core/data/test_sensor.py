"""The simulated camera: exposure, determinism, and images that are not clipped away."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lsm_core.data.sensor import draw_sensor, expose, roll_shutter


@pytest.fixture
def linear() -> np.ndarray:
    """Return a ramp from dark to ten times brighter, [48, 64, 3] linear."""
    ramp = np.geomspace(0.03, 0.3, 64, dtype=np.float32)
    return np.broadcast_to(ramp[None, :, None], (48, 64, 3)).copy()


def test_equal_seeds_give_equal_images(linear: np.ndarray) -> None:
    images = []
    for _ in range(2):
        rng = np.random.default_rng(4)
        images.append(expose(linear, draw_sensor(rng), rng))
    np.testing.assert_array_equal(images[0], images[1])


def test_exposure_follows_the_scene(linear: np.ndarray) -> None:
    sensor = draw_sensor(np.random.default_rng(1))
    dim = expose(linear, sensor, np.random.default_rng(2))
    bright = expose(linear * 10.0, sensor, np.random.default_rng(2))
    assert abs(float(dim.mean()) - float(bright.mean())) < 3.0


def test_no_camera_clips_most_of_an_ordinary_scene(linear: np.ndarray) -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        image = expose(linear, draw_sensor(rng), rng)
        assert image.dtype == np.uint8 and image.shape == linear.shape
        assert (image == 255).mean() < 0.5 and (image == 0).mean() < 0.5
        assert image.std() > 8


def test_a_rolling_shutter_shifts_the_first_and_last_row_apart_and_keeps_depth_with_the_image() -> None:
    sensor = replace(draw_sensor(np.random.default_rng(0)), rolling_px=4.0)
    x = np.broadcast_to(np.arange(64, dtype=np.float32), (49, 64))
    colour, depth = roll_shutter([np.dstack([x] * 3), x.copy()], sensor, np.random.default_rng(3))
    shift = colour[:, 32, 0] - 32
    assert abs(shift[24]) < 0.01 and abs(shift[0]) > 0.3 and shift[0] == pytest.approx(-shift[-1], abs=0.02)
    assert np.abs(depth[:, 32] - colour[:, 32, 0]).max() <= 0.5 + 1e-3
    still = roll_shutter([x], replace(sensor, rolling_px=0.0), np.random.default_rng(3))
    np.testing.assert_array_equal(still[0], x)
