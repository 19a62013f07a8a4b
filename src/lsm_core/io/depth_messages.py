"""From the bytes of depth images (REP 118, and image_transport's compressedDepth) to metres, without ROS."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError
from lsm_core.io.encoded_pictures import check_picture_size

MILLIMETRE = 0.001
HEADER_BYTES = 12  # of compressedDepth: format, then the two numbers of its inverse-depth code


def decode_depth(message: Any) -> NDArray[np.float32]:
    """Return depth [H, W] in metres, 0 = none, of an Image: 16UC1 in millimetres or 32FC1 in metres.

    Raises:
        FileFormatError: another encoding, or sizes that do not fit the data.
    """
    kinds = {"16uc1": "u2", "mono16": "u2", "32fc1": "f4"}
    encoding = str(message.encoding).lower()
    if encoding not in kinds:
        raise FileFormatError(f"A depth image is encoded as '{message.encoding}'.", "Known: 16UC1 (mm), 32FC1 (m).")
    dtype = np.dtype((">" if message.is_bigendian else "<") + kinds[encoding])
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(memoryview(message.data), np.uint8)
    if height < 1 or width < 1 or step < width * dtype.itemsize or len(data) < step * height:
        raise FileFormatError(
            f"A depth image of {width}x{height} with step {step} has {len(data)} bytes.",
            "The recorded driver fills its messages wrongly: mend it, or take another topic.",
        )
    rows = np.ascontiguousarray(data[: step * height].reshape(height, step)[:, : width * dtype.itemsize])
    return _metres(rows.view(dtype))


def decode_compressed_depth(message: Any) -> NDArray[np.float32]:
    """Return depth [H, W] in metres, 0 = none, of a CompressedImage with 16-bit PNG or compressedDepth PNG.

    Raises:
        FileFormatError: the data are no such image, or one that is too large.
    """
    data = np.frombuffer(memoryview(message.data), np.uint8)
    words = str(message.format).lower()
    wrapped = "compresseddepth" in words
    picture = data[HEADER_BYTES:] if wrapped else data
    check_picture_size(picture, f"A depth image (format '{message.format}')")
    image = cv2.imdecode(picture, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 2 or image.dtype != np.uint16:
        raise FileFormatError(
            f"A depth image (format '{message.format}') is no 16-bit PNG.", "Record the raw depth topic instead."
        )
    if wrapped and "32fc1" in words:
        _, a, b = struct.unpack("<iff", data[:HEADER_BYTES].tobytes())
        code = image.astype(np.float32)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _metres(np.where(image > 0, np.float32(a) / (code - np.float32(b)), 0).astype(np.float32))
    return _metres(image)


def _metres(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return metres with 0 where there is no reading."""
    if values.dtype.kind == "u":
        return np.where(values < 65535, values * np.float32(MILLIMETRE), 0).astype(np.float32)
    known = np.isfinite(values) & (values > 0)
    return np.where(known, values, 0).astype(np.float32)
