"""The cheap grey image of the gates against its readable twin: full conversion, then `small_gray`."""

from __future__ import annotations

import tracemalloc

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.conversions import images
from lsm_perception.conversions.images import decode_image, source_from_image
from lsm_perception.conversions.pixel_formats import PIXEL_FORMATS
from lsm_perception.conversions.previews import preview_of_image
from raw_pictures import encoded

from lsm_core.mapping import check_frame, small_gray

SIZES = [(320, 240), (640, 480), (848, 479), (1280, 720)]


def scene(width: int, height: int) -> np.ndarray:
    """Return a coloured picture with detail of several sizes [height, width, 3] RGB."""
    rng = np.random.default_rng(3)
    total = np.zeros((height, width, 3))
    for cells, weight in ((6, 0.6), (25, 0.5), (100, 0.3)):
        total += weight * cv2.resize(rng.uniform(-1, 1, (cells, cells, 3)), (width, height))
    return np.clip(128 + 80 * total, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=lambda s: f"{s[0]}x{s[1]}")
@pytest.mark.parametrize("encoding", PIXEL_FORMATS)
def test_preview_is_close_to_the_full_conversion(encoding: str, size: tuple[int, int]) -> None:
    """Within 2 grey levels everywhere; a Bayer mosaic, which is not interpolated, within 12 on average."""
    message = encoded(scene(*size), encoding, padding=7)
    cheap, twin = preview_of_image(message), small_gray(decode_image(message))
    assert cheap.shape == twin.shape and cheap.dtype == np.uint8 and cheap.flags.c_contiguous
    error = np.abs(cheap.astype(int) - twin)
    if encoding.startswith("bayer"):
        assert error.mean() <= 12
        assert np.corrcoef(cheap.ravel(), twin.ravel())[0, 1] > 0.95
    else:
        assert error.max() <= 2
    assert check_frame(cheap).blur == pytest.approx(check_frame(twin).blur, abs=0.1)


@pytest.mark.parametrize("encoding", ["mono16", "rgb16", "bayer_grbg16"])
def test_big_and_little_endian_give_the_same_preview(encoding: str) -> None:
    little, big = (preview_of_image(encoded(scene(640, 480), encoding, big=big)) for big in (False, True))
    assert np.abs(little.astype(int) - big).max() <= 1


@pytest.mark.parametrize(
    ("encoding", "planes"), [("mono8", 0.4), ("bayer_rggb8", 0.4), ("rgb8", 1.4), ("bgra8", 1.4), ("yuyv", 1.4)]
)
def test_preview_allocates_a_grey_plane_at_most(encoding: str, planes: float) -> None:
    message = encoded(scene(1280, 720), encoding)
    preview_of_image(message)
    tracemalloc.start()
    try:
        preview_of_image(message)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= planes * 1280 * 720


def test_preview_never_asks_for_the_full_image(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden:
        def imgmsg_to_cv2(self, *_: object, **__: object) -> None:
            raise AssertionError("a full conversion")

    monkeypatch.setattr(images, "_bridge", Forbidden())
    source = source_from_image(encoded(scene(640, 480), "bgr8"), "", 10**6, 0.0)
    assert source.preview().shape == (240, 320)
    with pytest.raises(AssertionError):
        source.decode()
