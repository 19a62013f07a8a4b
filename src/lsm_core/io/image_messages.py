"""From the bytes of sensor_msgs Image and CompressedImage to RGB arrays, without ROS."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError
from lsm_core.io.encoded_pictures import check_picture_size

# encoding -> (bytes per pixel, OpenCV conversion to RGB or None)
_ENCODINGS: dict[str, tuple[int, int | None]] = {
    "rgb8": (3, None),
    "8uc3": (3, cv2.COLOR_BGR2RGB),
    "bgr8": (3, cv2.COLOR_BGR2RGB),
    "rgba8": (4, cv2.COLOR_RGBA2RGB),
    "bgra8": (4, cv2.COLOR_BGRA2RGB),
    "8uc4": (4, cv2.COLOR_BGRA2RGB),
    "mono8": (1, cv2.COLOR_GRAY2RGB),
    "8uc1": (1, cv2.COLOR_GRAY2RGB),
    "bayer_rggb8": (1, cv2.COLOR_BayerRGGB2RGB),
    "bayer_bggr8": (1, cv2.COLOR_BayerBGGR2RGB),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGBRG2RGB),
    "bayer_grbg8": (1, cv2.COLOR_BayerGRBG2RGB),
    "yuv422": (2, cv2.COLOR_YUV2RGB_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2RGB_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2RGB_YUYV),
    "yuyv": (2, cv2.COLOR_YUV2RGB_YUYV),
}


def decode_raw(message: Any) -> NDArray[np.uint8]:
    """Return [H, W, 3] uint8 RGB of an Image message.

    Raises:
        FileFormatError: an encoding that is no 8-bit colour or grey one, or sizes that do not fit the data.
    """
    encoding = str(message.encoding).lower()
    if encoding not in _ENCODINGS:
        raise FileFormatError(
            f"Images are encoded as '{message.encoding}'.", f"Known encodings: {', '.join(_ENCODINGS)}."
        )
    size, conversion = _ENCODINGS[encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    data = np.frombuffer(memoryview(message.data), np.uint8)
    if height < 1 or width < 1 or step < width * size or len(data) < step * height:
        raise FileFormatError(
            f"An image of {width}x{height} '{encoding}' with step {step} has {len(data)} bytes.",
            "The recorded driver fills its messages wrongly: mend it, or take another topic.",
        )
    pixels = data[: step * height].reshape(height, step)[:, : width * size]
    pixels = pixels.reshape(height, width) if size == 1 else pixels.reshape(height, width, size)
    if conversion is None:
        return pixels.copy()
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), conversion), np.uint8)


def decode_compressed(message: Any) -> NDArray[np.uint8]:
    """Return [H, W, 3] uint8 RGB of a CompressedImage message (JPEG or PNG), not turned by EXIF.

    Raises:
        FileFormatError: the data are no JPEG or PNG, or one that is too large.
    """
    data = np.frombuffer(memoryview(message.data), np.uint8)
    check_picture_size(data, f"A compressed image (format '{message.format}')")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(data, flags)
    if image is None:
        raise FileFormatError(
            f"A compressed image (format '{message.format}') cannot be decoded.",
            "Look whether the recording is damaged, or take another topic.",
        )
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
