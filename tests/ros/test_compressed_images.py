"""Compressed images: decoded with the right colours, or refused with a reason before much is allocated."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from array import array

import cv2
import numpy as np
import pytest
from PIL import Image as PilImage

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.accounting import Drop
from lsm_perception.conversions.compressed_images import decode_compressed, source_from_compressed
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.source_image import SourceImage
from raw_pictures import blocks, inner
from sensor_msgs.msg import CompressedImage

RGB = blocks(96, 64)
MAX_PIXELS = 1_000_000


def take(data: bytes, form: str = "jpeg", max_pixels: int = MAX_PIXELS) -> SourceImage:
    return source_from_compressed(CompressedImage(format=form, data=array("B", data)), "", max_pixels, 0.0)


def encode(image: np.ndarray, extension: str, *options: int) -> bytes:
    return bytes(cv2.imencode(extension, image, options)[1].tobytes())


def refused(data: bytes, form: str = "jpeg") -> Drop:
    with pytest.raises(BadMessageError) as error:
        take(data, form).decode()
    return error.value.reason


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_header(width: int, height: int) -> bytes:
    """Return the start of a grey png that claims a size."""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))


def png_claiming(width: int, height: int) -> bytes:
    """Return a small png whose header claims a size."""
    return png_header(width, height) + chunk(b"IDAT", zlib.compress(bytes(200))) + chunk(b"IEND", b"")


def jpeg_claiming(width: int, height: int) -> bytes:
    """Return a small jpeg whose frame header claims a size."""
    data = bytearray(encode(RGB[..., ::-1], ".jpg"))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("form", ["png", "rgb8; png compressed bgr8", ""])
def test_png_is_exact(form: str) -> None:
    image = take(encode(RGB[..., ::-1], ".png"), form)
    assert (image.width, image.height) == (96, 64) and np.array_equal(image.decode(), RGB)


def test_alpha_is_left_out() -> None:
    alpha = np.dstack([RGB[..., ::-1], np.full(RGB.shape[:2], 3, np.uint8)])
    assert np.array_equal(take(encode(alpha, ".png"), "png").decode(), RGB)


def test_sixteen_bit_grey_keeps_its_high_byte() -> None:
    gray = cv2.cvtColor(RGB, cv2.COLOR_RGB2GRAY)
    image = take(encode(gray.astype(np.uint16) * 256 + 77, ".png"), "mono16; png compressed ")
    assert np.array_equal(image.decode(), np.repeat(gray[..., None], 3, -1))
    assert np.array_equal(image.preview(), gray)


@pytest.mark.parametrize("form", ["jpeg", "jpg", "bgr8; jpeg compressed bgr8", "png"])
def test_jpeg_is_close_whatever_its_label(form: str) -> None:
    """The data say what they are; a driver that calls its jpeg "png" is understood."""
    found = take(encode(RGB[..., ::-1], ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95), form).decode().astype(int)
    assert np.abs(found - RGB)[inner(64, 96)].mean() < 2


@pytest.mark.parametrize("kind", ["grey", "progressive", "cmyk"])
def test_other_kinds_of_jpeg_are_read(kind: str) -> None:
    out = io.BytesIO()
    picture = PilImage.fromarray(RGB)
    picture = {"grey": picture.convert("L"), "progressive": picture, "cmyk": picture.convert("CMYK")}[kind]
    picture.save(out, "jpeg", quality=95, progressive=kind == "progressive")
    found = take(out.getvalue()).decode()
    assert found.shape == RGB.shape
    if kind != "grey":
        assert np.abs(found.astype(int) - RGB)[inner(64, 96)].mean() < 4


@pytest.mark.parametrize("form", ["h264", "16UC1; compressedDepth png", "tiff", "webp", "rvl", "JXL"])
def test_other_formats_are_named_as_unsupported(form: str) -> None:
    assert refused(encode(RGB, ".png"), form) is Drop.BAD_ENCODING


@pytest.mark.parametrize("extension", [".webp", ".tiff", ".bmp"])
def test_other_files_under_a_good_label_are_refused(extension: str) -> None:
    assert refused(encode(RGB, extension), "jpeg") is Drop.BAD_DATA


@pytest.mark.parametrize("extension", [".jpg", ".png"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_refused(extension: str, share: float) -> None:
    data = encode(RGB[..., ::-1], extension)
    assert refused(data[: int(share * len(data))]) is Drop.BAD_DATA


def test_a_jpeg_cut_inside_but_with_an_end_marker_still_has_its_size() -> None:
    """What is missing is grey: the frame check calls it torn. It must not have another size, nor raise."""
    data = encode(blocks(), ".jpg")
    image = take(data[: len(data) // 2] + b"\xff\xd9")
    assert image.decode().shape == (240, 320, 3)


def test_a_picture_larger_than_its_header_says_is_refused() -> None:
    """A second header behind the first: whichever the decoder believes, the size is checked afterwards."""
    png = encode(RGB[..., ::-1], ".png")
    lying = png_header(32, 32) + png[8:]
    assert refused(lying, "png") is Drop.BAD_DATA


def test_a_decoder_that_finds_another_size_than_the_header_is_not_believed() -> None:
    message = CompressedImage(format="png", data=array("B", encode(RGB[..., ::-1], ".png")))
    with pytest.raises(BadMessageError, match="97x64") as error:
        decode_compressed(message, 97, 64)
    assert error.value.reason is Drop.BAD_DATA


@pytest.mark.parametrize("claim", [(1001, 1001), (16_000, 16_000), (65_000, 65_000), (65_000, 1)])
@pytest.mark.parametrize("make", [png_claiming, jpeg_claiming], ids=["png", "jpeg"])
def test_a_claim_above_the_cap_is_bad_size(make, claim: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    assert refused(make(*claim)) is Drop.BAD_SIZE


def test_a_png_of_two_thousand_million_columns_is_refused() -> None:
    assert refused(png_claiming(2**31 - 1, 2**31 - 1), "png") in (Drop.BAD_SIZE, Drop.BAD_DATA)


HUNGRY = """
import resource, sys
sys.path[:0] = {paths!r}
from array import array
from sensor_msgs.msg import CompressedImage, Image
from lsm_perception.conversions.compressed_images import source_from_compressed
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.images import source_from_image
from test_compressed_images import jpeg_claiming, png_claiming, encode, RGB
source_from_compressed(CompressedImage(format="png", data=array("B", encode(RGB, ".png"))), "", 10**6, 0.0).decode()
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + {room} * 2**20,) * 2)
reasons = set()
for width, height in ((30_000, 30_000), (16_384, 16_384), (8_000, 8_000), (2**31 - 1, 2**31 - 1)):
    messages = [CompressedImage(format="png", data=array("B", png_claiming(width, height)))]
    if width < 2**16:
        messages.append(CompressedImage(format="jpeg", data=array("B", jpeg_claiming(width, height))))
    for message in messages:
        try:
            source_from_compressed(message, "", 10**6, 0.0).decode()
        except BadMessageError as error:
            reasons.add(error.reason.value)
    raw = Image(width=width, height=height, step=2**32 - 1, encoding="rgb8", data=array("B", bytes(100)))
    try:
        source_from_image(raw, "", 10**6, 0.0).decode()
    except BadMessageError as error:
        reasons.add(error.reason.value)
try:
    bytearray({room} * 2**20 * 2)
except MemoryError:
    print("limited", *sorted(reasons))
"""


def test_huge_claims_allocate_nothing_large() -> None:
    """With 32 MiB of address space to spare, every claim of 64 million to 10^18 pixels ends in a reason."""
    code = HUNGRY.format(paths=[p for p in sys.path if p], room=32)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    words = done.stdout.split()
    assert words[0] == "limited" and "bad_size" in words and set(words[1:]) <= {"bad_size", "bad_data"}


def test_reduced_decode_shows_the_same_picture() -> None:
    rng = np.random.default_rng(0)
    for width, height in ((640, 480), (1280, 720), (2560, 1440)):
        rgb = cv2.resize(rng.integers(0, 255, (24, 32, 3), dtype=np.uint8), (width, height))
        image = take(encode(rgb[..., ::-1], ".jpg"), max_pixels=10**7)
        twin = cv2.cvtColor(cv2.resize(rgb, (320, round(height * 320 / width))), cv2.COLOR_RGB2GRAY)
        error = np.abs(image.preview().astype(int) - twin)
        assert image.preview().shape == twin.shape and error.mean() < 1.5
