"""Depth of ROS messages in every encoding that is read becomes metres; others are refused."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError
from lsm_core.io.depth_messages import decode_compressed_depth, decode_depth

METRES = np.array([[0.0, 1.25, 2.5], [3.0, 0.0, 6.001]], np.float32)
STEPS = np.round(METRES * 1000).astype(np.uint16)


def raw(encoding: str, pixels: NDArray[Any], padding: int = 0, big: bool = False) -> Any:
    height, width = pixels.shape
    row = width * pixels.itemsize
    data = np.zeros((height, row + padding), np.uint8)
    data[:, :row] = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, row)
    fields = {"encoding": encoding, "height": height, "width": width, "step": row + padding}
    return SimpleNamespace(**fields, is_bigendian=int(big), data=data.reshape(-1))


def packed(format: str, pixels: NDArray[Any], head: bytes = b"") -> Any:
    data = np.frombuffer(head + cv2.imencode(".png", pixels)[1].tobytes(), np.uint8)
    return SimpleNamespace(format=format, data=data)


@pytest.mark.parametrize(("padding", "big"), [(0, False), (5, False), (0, True)])
def test_millimetres_and_metres_are_told_apart(padding: int, big: bool) -> None:
    order = ">" if big else "<"
    steps = np.where(STEPS == 6001, 65535, STEPS)
    got = decode_depth(raw("16UC1", steps.astype(order + "u2"), padding, big))
    np.testing.assert_allclose(got, np.where(METRES > 6, 0, METRES), atol=1e-6)
    holes = np.where(METRES == 0, np.nan, METRES).astype(order + "f4")
    np.testing.assert_array_equal(decode_depth(raw("32FC1", holes, padding, big)), METRES)


def test_compressed_depth_is_read_with_and_without_its_header() -> None:
    for message in (packed("16UC1; png compressed", STEPS), packed("16UC1; compressedDepth png", STEPS, bytes(12))):
        np.testing.assert_allclose(decode_compressed_depth(message), METRES, atol=1e-6)
    # 32-bit depth is stored as a / z + b in 16 bits.
    a, b = 8000.0, 12.0
    with np.errstate(divide="ignore"):
        code = np.where(METRES > 0, np.round(a / METRES + b), 0).astype(np.uint16)
    message = packed("32FC1; compressedDepth", code, struct.pack("<iff", 0, a, b))
    np.testing.assert_allclose(decode_compressed_depth(message), METRES, rtol=1e-3)


@pytest.mark.parametrize(
    "message",
    [
        raw("rgb8", STEPS),
        SimpleNamespace(encoding="16UC1", height=9, width=9, step=18, is_bigendian=0, data=np.zeros(4, np.uint8)),
    ],
)
def test_other_raw_images_are_refused(message: Any) -> None:
    with pytest.raises(FileFormatError, match="depth image"):
        decode_depth(message)


@pytest.mark.parametrize(
    "message",
    [
        packed("jpeg", np.zeros((4, 4, 3), np.uint8)),
        SimpleNamespace(format="16UC1; compressedDepth rvl", data=np.arange(40, dtype=np.uint8)),
        SimpleNamespace(format="16UC1; png", data=np.zeros(0, np.uint8)),
    ],
)
def test_other_compressed_images_are_refused(message: Any) -> None:
    with pytest.raises(FileFormatError, match=r"A depth image \(format"):
        decode_compressed_depth(message)
