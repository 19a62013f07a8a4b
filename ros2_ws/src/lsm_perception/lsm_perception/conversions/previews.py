"""The small grey image of a raw message for the gates, at a fraction of the cost of a full conversion.

Everything works on a view of the message's own bytes; colour conversion, where there is any, makes one grey plane.
The readable twin is `small_gray(decode_image(message))`; tests/ros/test_previews.py says how close they are.
"""

from __future__ import annotations

import sys
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import Image

from lsm_core.mapping.small_image import MAX_WIDTH, halved, small_gray
from lsm_perception.conversions.pixel_formats import PIXEL_FORMATS, PixelFormat
from lsm_perception.source_image import Gray

VIDEO_BLACK, VIDEO_SPAN = 16.0, 219.0


def preview_of_image(message: Image) -> Gray:
    """Return a checked raw image as a reduced grey image [h, w] uint8, at most 320 wide."""
    form = PIXEL_FORMATS[message.encoding]
    pixels = _eight_bits(message, form)
    if form.mosaic and message.width >= 2 * MAX_WIDTH and not (message.width % 2 or message.height % 2):
        gray = small_gray(halved(pixels))  # the mean of a 2x2 cell: (R + 2 G + B) / 4
    elif form.to_gray is not None:
        gray = small_gray(np.asarray(cv2.cvtColor(pixels, form.to_gray), np.uint8))
    elif form.channels > 1:
        gray = small_gray(np.asarray(cv2.extractChannel(pixels, form.luma), np.uint8))
    else:
        gray = small_gray(pixels)
    if form.video_range:
        gain = 255.0 / VIDEO_SPAN
        return np.asarray(cv2.addWeighted(gray, gain, gray, 0.0, -VIDEO_BLACK * gain), np.uint8)
    return gray


def rows_of(message: Image, form: PixelFormat) -> NDArray[np.uint8]:
    """Return the rows of a checked image without their padding, as a view of the message: [height, row bytes]."""
    data = np.frombuffer(message.data, np.uint8).reshape(message.height, message.step)
    return data[:, : message.width * form.pixel_bytes]


def _eight_bits(message: Image, form: PixelFormat) -> NDArray[np.uint8]:
    """Return the pixels [H, W] or [H, W, C] with 8 bits each: a view, or for 16 bits a rounded copy."""
    rows = rows_of(message, form)
    shape: tuple[int, ...] = (message.height, message.width)
    if form.channels > 1:
        shape = (*shape, form.channels)
    if form.item == 1:
        return _shaped(rows, shape)
    if bool(message.is_bigendian) != (sys.byteorder == "big"):
        high = rows[:, :: form.item] if message.is_bigendian else rows[:, 1 :: form.item]
        return np.ascontiguousarray(high).reshape(shape)
    if message.step % form.item:  # OpenCV reads such rows wrongly
        rows = np.ascontiguousarray(rows)
    return np.asarray(cv2.convertScaleAbs(_shaped(rows.view(np.uint16), shape), alpha=1.0 / 257.0), np.uint8)


def _shaped(rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return rows [H, n] as [H, W] or [H, W, C] without a copy, padding or not."""
    if len(shape) == 2:
        return rows
    item = rows.itemsize
    return np.lib.stride_tricks.as_strided(rows, shape, (rows.strides[0], shape[2] * item, item), writeable=False)
