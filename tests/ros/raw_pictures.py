"""A picture of plain blocks in every raw encoding, so that colours can be checked to the last bit."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from lsm_perception.conversions.pixel_formats import PIXEL_FORMATS
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

BLOCK = 16
Array = NDArray[np.uint8]


def blocks(width: int = 320, height: int = 240, seed: int = 0) -> Array:
    """Return [height, width, 3] uint8 RGB of 16x16 blocks, each of one colour."""
    rng = np.random.default_rng(seed)
    small = rng.integers(30, 226, (-(-height // BLOCK), -(-width // BLOCK), 3), dtype=np.uint8)
    return np.ascontiguousarray(small.repeat(BLOCK, 0).repeat(BLOCK, 1)[:height, :width])


def inner(height: int, width: int) -> NDArray[np.bool_]:
    """Return [height, width] True where all pixels within 3 px are of the same block."""
    y, x = np.mgrid[:height, :width] % BLOCK
    return (y >= 3) & (y < BLOCK - 3) & (x >= 3) & (x < BLOCK - 3)


def encoded(rgb: Array, encoding: str, big: bool = False, padding: int = 0, header: Header | None = None) -> Image:
    """Return a picture as a message of any encoding the node takes.

    Args:
        rgb: [H, W, 3] uint8; grey encodings get its luma.
        encoding: a key of PIXEL_FORMATS.
        big: byte order of 16 bit encodings.
        padding: bytes of 255 after each row.
        header: of the message.
    """
    form = PIXEL_FORMATS[encoding]
    plain = _channels(rgb, encoding)
    values = plain if form.item == 1 else (plain.astype(np.uint16) * 257).astype(">u2" if big else "<u2")
    rows = np.frombuffer(values.tobytes(), np.uint8).reshape(rgb.shape[0], -1)
    rows = np.concatenate([rows, np.full((len(rows), padding), 255, np.uint8)], 1)
    message = Image(height=rgb.shape[0], width=rgb.shape[1], encoding=encoding, step=rows.shape[1])
    message.is_bigendian = int(big)
    message.data = array("B", rows.tobytes())
    if header is not None:
        message.header = header
    return message


def _channels(rgb: Array, encoding: str) -> Array:
    """Return the picture in the channels of an encoding, 8 bits each."""
    if encoding.startswith("bayer"):
        mosaic = np.empty(rgb.shape[:2], np.uint8)
        for index, colour in enumerate(encoding[6:10]):
            y, x = divmod(index, 2)
            mosaic[y::2, x::2] = rgb[y::2, x::2, "rgb".index(colour)]
        return mosaic
    if encoding.startswith("mono") or encoding == "8UC1":
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
    if encoding in ("yuv422", "uyvy"):
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_UYVY), np.uint8)
    if encoding in ("yuv422_yuy2", "yuyv"):
        return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_YUYV), np.uint8)
    ordered = rgb[..., ::-1] if encoding.startswith("bgr") or encoding == "8UC3" else rgb
    alpha = [np.full(rgb.shape[:2], 9, np.uint8)] if "a" in encoding else []
    return np.dstack([ordered, *alpha])


def expected(rgb: Array, encoding: str) -> Array:
    """Return the RGB [H, W, 3] that an encoding can carry: the picture, or its grey in three channels."""
    if encoding.startswith("mono") or encoding == "8UC1":
        return np.repeat(np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)[..., None], 3, -1)
    return rgb


def tolerance(encoding: str) -> int:
    """Return the largest error of a colour inside a block, grey levels: YUV rounds three numbers."""
    return 3 if "yu" in encoding or encoding == "uyvy" else 0
