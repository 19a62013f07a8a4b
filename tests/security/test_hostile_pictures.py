"""Pictures whose headers of a few bytes announce thousands of millions of pixels are refused, not decoded."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hungry import outcome

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io import read_image
from lsm_core.io.depth_messages import decode_compressed_depth
from lsm_core.io.encoded_pictures import check_picture_size
from lsm_core.io.image_messages import decode_compressed
from lsm_core.mapping.saved_map import MapKeyframe

SIZES = [(30_000, 30_000), (65_000, 20_000)]  # below 2^30 pixels, and above: OpenCV's own limit


def png(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG with a true header and a few bytes of pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(100_000), 9))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose header says another size than its pixels have."""
    data = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def message(data: bytes, form: str) -> SimpleNamespace:
    return SimpleNamespace(data=np.frombuffer(data, np.uint8), format=form)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("make", [png, jpeg])
def test_bombs_in_bags_are_refused(make, size: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(FileFormatError, match="pixels"):
        decode_compressed(message(make(*size), "jpeg"))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("wrapped", [False, True])
def test_depth_bombs_in_bags_are_refused(size: tuple[int, int], wrapped: bool) -> None:
    data = png(*size, depth=16, colour=0)
    form = "16UC1; compressedDepth png" if wrapped else "16UC1; png"
    with pytest.raises(FileFormatError, match="pixels"):
        decode_compressed_depth(message(bytes(12) + data if wrapped else data, form))


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("make", [png, jpeg])
def test_bombs_in_files_are_refused(make, size: tuple[int, int], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "bomb").write_bytes(make(*size))
    with pytest.raises(FileFormatError):
        read_image(tmp_path / "bomb")


def test_other_formats_are_no_pictures_of_a_camera() -> None:
    tiff = cv2.imencode(".tiff", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    for data in (tiff, b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"):
        with pytest.raises(FileFormatError):
            check_picture_size(data, "A picture")


def test_an_honest_picture_says_its_size() -> None:
    data = cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1]
    assert check_picture_size(data.tobytes(), "A picture") == (30, 20)
    assert decode_compressed(message(data.tobytes(), "png")).shape == (20, 30, 3)
    with pytest.raises(FileFormatError, match="30x20"):
        check_picture_size(data.tobytes(), "A picture", max_pixels=599)


def test_no_memory_is_taken_for_what_a_header_claims() -> None:
    """900 million pixels are 2.7 GB in colour; the process has 256 MiB to spare."""
    setup = "from test_hostile_pictures import decode_compressed, message, png"
    assert outcome(setup, "decode_compressed(message(png(30_000, 30_000), 'png'))").startswith("refused:")


def test_a_thumbnail_of_a_map_cannot_be_a_bomb() -> None:
    keyframe = object.__new__(MapKeyframe)
    object.__setattr__(keyframe, "id", 7)
    object.__setattr__(keyframe, "thumbnail", jpeg(12_000, 12_000))
    with pytest.raises(InputError, match="keyframe 7"):
        keyframe.picture()
