"""Image and CompressedImage to the pipeline's source image, and back; test_encodings.py has the colours."""

from __future__ import annotations

import io
from array import array

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pil

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.accounting import Drop
from lsm_perception.conversions.compressed_images import source_from_compressed
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.images import (
    image_message,
    source_from_image,
)
from lsm_perception.conversions.stamps import stamp_from_ns, stamp_to_ns
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

MAX_PIXELS = 1_000_000
WIDTH, HEIGHT = 48, 32


def picture() -> np.ndarray:
    """Return smooth colours [32, 48, 3] RGB, so that subsampled chroma loses little."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 4 + 20, y * 5 + 30, 200 - x * 2 - y], -1).astype(np.uint8)


def raw(data: np.ndarray, encoding: str, width: int = WIDTH, height: int = HEIGHT, **fields: object) -> Image:
    """Return a message that holds these bytes."""
    payload = array("B", np.ascontiguousarray(data).tobytes())
    message = Image(width=width, height=height, encoding=encoding, step=len(payload) // height, data=payload)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def take(message: Image) -> np.ndarray:
    return source_from_image(message, "", MAX_PIXELS, 0.0).decode()


RGB = picture()


def test_header_is_taken_to_the_nanosecond() -> None:
    message = raw(RGB, "rgb8", header=Header(stamp=stamp_from_ns(1_700_000_000_999_999_999), frame_id="cam"))
    image = source_from_image(message, "left", MAX_PIXELS, 1.5)
    assert (image.stamp_ns, image.frame_id, image.camera) == (1_700_000_000_999_999_999, "cam", "left")
    assert (image.width, image.height, image.received_s) == (WIDTH, HEIGHT, 1.5)


def compressed(data: bytes, form: str = "jpeg") -> CompressedImage:
    return CompressedImage(format=form, data=array("B", data))


def encode(image: np.ndarray, extension: str) -> bytes:
    return bytes(cv2.imencode(extension, image[..., ::-1])[1].tobytes())


def test_a_jpeg_with_exif_rotation_keeps_the_sensor_grid() -> None:
    exif = Pil.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees
    out = io.BytesIO()
    Pil.fromarray(RGB).save(out, "jpeg", exif=exif)
    image = source_from_compressed(compressed(out.getvalue()), "", MAX_PIXELS, 0.0)
    assert image.decode().shape == (image.height, image.width, 3) == (HEIGHT, WIDTH, 3)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    width=st.one_of(st.integers(0, 70), st.sampled_from([2**31, 2**32 - 1])),
    height=st.one_of(st.integers(0, 70), st.sampled_from([2**31, 2**32 - 1])),
    step=st.one_of(st.integers(0, 400), st.sampled_from([2**32 - 1])),
    encoding=st.one_of(
        st.sampled_from(["rgb8", "mono16", "bayer_rggb8", "yuyv", "8UC3", "32FC1"]), st.text(max_size=20)
    ),
    data=st.binary(max_size=5000),
    big=st.integers(0, 1),
)
def test_any_raw_image_is_decoded_or_refused_with_a_reason(
    width: int, height: int, step: int, encoding: str, data: bytes, big: int
) -> None:
    message = Image(width=width, height=height, step=step, encoding=encoding.encode("utf-8", "ignore").decode())
    message.data, message.is_bigendian = array("B", data), big
    try:
        image = source_from_image(message, "", MAX_PIXELS, 0.0)
        assert image.decode().shape == (height, width, 3) and image.preview().ndim == 2
    except BadMessageError as error:
        assert error.reason in (Drop.BAD_SIZE, Drop.BAD_ENCODING)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.text(max_size=12), st.integers(0, 2000), st.integers(0, 2000))
def test_any_compressed_image_is_decoded_or_refused_with_a_reason(
    data: bytes, form: str, cut: int, flip: int
) -> None:
    broken = bytearray(encode(RGB, ".jpg")[:cut] + data)
    if broken:
        broken[flip % len(broken)] ^= 0xFF
    for content in (data, bytes(broken)):
        message = compressed(content, form.encode("utf-8", "ignore").decode())
        try:
            image = source_from_compressed(message, "", MAX_PIXELS, 0.0)
            assert image.decode().shape[2] == 3 and image.preview().ndim == 2
        except BadMessageError as error:
            assert error.reason in (Drop.BAD_SIZE, Drop.BAD_ENCODING, Drop.BAD_DATA)


@given(st.integers(-(2**31) * 10**9, 2**31 * 10**9 - 1))
def test_stamps_survive_a_round_trip(stamp_ns: int) -> None:
    assert stamp_to_ns(stamp_from_ns(stamp_ns)) == stamp_ns


def test_stamps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        stamp_from_ns(2**31 * 10**9)


def test_image_message_keeps_pixels_and_header() -> None:
    header = Header(stamp=stamp_from_ns(5), frame_id="cam")
    message = image_message(RGB, "rgb8", header)
    assert np.array_equal(take(message), RGB) and message.header == header
