"""The image encodings of sensor_msgs: element type, channels, and what the channels mean."""

import re
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Encoding:
    """One value of `sensor_msgs/Image.encoding`.

    Attributes:
        name: The value itself.
        dtype: Element type, native byte order.
        channels: Number of interleaved channels.
        colour: What the channels are ("bgr", "mono", "bayer_rggb", "uyvy", ...), or "" when the
            encoding says nothing of that (the OpenCV names such as "16UC1").
    """

    name: str
    dtype: np.dtype
    channels: int
    colour: str


_U8, _U16 = np.dtype(np.uint8), np.dtype(np.uint16)
_BAYER_ORDERS = ("rggb", "bggr", "gbrg", "grbg")
_DEPTHS: dict[str, np.dtype] = {
    "8U": _U8,
    "8S": np.dtype(np.int8),
    "16U": _U16,
    "16S": np.dtype(np.int16),
    "32S": np.dtype(np.int32),
    "32F": np.dtype(np.float32),
    "64F": np.dtype(np.float64),
}
_DEPTH_OF = {dtype: depth for depth, dtype in _DEPTHS.items()}
_OPENCV_NAME = re.compile(r"(8U|8S|16U|16S|32S|32F|64F)C([1-9]\d*)$")
_CHANNELS = {"mono": 1, "rgb": 3, "bgr": 3, "rgba": 4, "bgra": 4}


def _named() -> dict[str, Encoding]:
    """Build the table of the encodings that name colours."""
    rows = []
    for bits, dtype in ((8, _U8), (16, _U16)):
        rows += [Encoding(f"{colour}{bits}", dtype, n, colour) for colour, n in _CHANNELS.items()]
        rows += [Encoding(f"bayer_{o}{bits}", dtype, 1, f"bayer_{o}") for o in _BAYER_ORDERS]
    for name, colour in (("yuv422", "uyvy"), ("uyvy", "uyvy"), ("yuv422_yuy2", "yuyv"), ("yuyv", "yuyv")):
        rows.append(Encoding(name, _U8, 2, colour))
    return {row.name: row for row in rows}


_NAMED = _named()


def parse(name: str) -> Encoding:
    """Look an encoding up by name.

    Raises:
        ValueError: The name is not an encoding of sensor_msgs.
    """
    found = _NAMED.get(name)
    if found is not None:
        return found
    match = _OPENCV_NAME.match(name)
    if match is None:
        raise ValueError(f"Unrecognized image encoding [{name}]")
    return Encoding(name, _DEPTHS[match.group(1)], int(match.group(2)), "")


def opencv_name(dtype: np.dtype, channels: int) -> str:
    """Return the OpenCV name of an element type, e.g. "16UC1".

    Raises:
        ValueError: OpenCV images cannot have this element type.
    """
    depth = _DEPTH_OF.get(dtype.newbyteorder("="))
    if depth is None:
        raise ValueError(f"an image cannot have elements of type {dtype}")
    return f"{depth}C{channels}"
