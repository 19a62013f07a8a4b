"""Raw images to RGB, with every check made before a byte is converted or allocated; arrays to messages."""

from __future__ import annotations

from functools import partial
from typing import Any

import cv2
import numpy as np
from cv_bridge import CvBridge, CvBridgeError
from numpy.typing import NDArray
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from lsm_perception.accounting import Drop
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.pixel_formats import PIXEL_FORMATS
from lsm_perception.conversions.previews import preview_of_image
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.source_image import Rgb, SourceImage

MIN_SIDE = 16
MAX_SIDE = 16_384

# OpenCV's plain names say nothing of colour; drivers mean these by them.
_MEANT = {"8UC1": "mono8", "8UC3": "bgr8"}
_bridge = CvBridge()


def check_image(message: Image, max_pixels: int) -> None:
    """Check size, step, encoding and data length of a raw image.

    Raises:
        BadMessageError: with the reason BAD_SIZE or BAD_ENCODING.
    """
    check_size(message.width, message.height, max_pixels)
    form = PIXEL_FORMATS.get(message.encoding)
    if form is None:
        raise BadMessageError(
            Drop.BAD_ENCODING,
            f"Encoding '{message.encoding[:40]}' is not supported.",
            f"Publish one of: {', '.join(PIXEL_FORMATS)}.",
        )
    if message.width % form.width_step:
        raise BadMessageError(
            Drop.BAD_SIZE,
            f"{message.encoding} needs an even width, not {message.width}.",
            "Publish whole pixel pairs.",
        )
    if message.step < message.width * form.pixel_bytes:
        raise BadMessageError(
            Drop.BAD_SIZE,
            f"step {message.step} is too small for {message.width} pixels of {message.encoding}.",
            "Set step to the bytes of one row.",
        )
    if len(message.data) != message.step * message.height:
        raise BadMessageError(
            Drop.BAD_SIZE,
            f"data has {len(message.data)} bytes, step x height is {message.step * message.height}.",
            "Fill data with height rows of step bytes.",
        )


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Check that an image has a sensible size.

    Raises:
        BadMessageError: with the reason BAD_SIZE.
    """
    if not (MIN_SIDE <= width <= MAX_SIDE and MIN_SIDE <= height <= MAX_SIDE) or width * height > max_pixels:
        raise BadMessageError(
            Drop.BAD_SIZE,
            f"Image size {width}x{height} is outside {MIN_SIDE} to {MAX_SIDE} pixels a side "
            f"or above input.max_pixels = {max_pixels}.",
        )


def decode_image(message: Image) -> Rgb:
    """Return a checked raw image as a contiguous [height, width, 3] uint8 RGB; it may share the message's bytes.

    Raises:
        BadMessageError: cv_bridge cannot convert it.
    """
    meant = _MEANT.get(message.encoding)
    try:
        if meant is None:
            rgb = _bridge.imgmsg_to_cv2(message, desired_encoding="rgb8")
        else:
            rgb = cv2.cvtColor(
                _bridge.imgmsg_to_cv2(message), cv2.COLOR_GRAY2RGB if meant == "mono8" else cv2.COLOR_BGR2RGB
            )
    except (CvBridgeError, cv2.error, TypeError, ValueError) as error:
        raise BadMessageError(
            Drop.BAD_ENCODING, f"Cannot convert {message.encoding} to RGB: {error}", "Publish rgb8 or bgr8."
        ) from error
    return np.ascontiguousarray(rgb)


def source_from_image(message: Image, camera: str, max_pixels: int, received_s: float) -> SourceImage:
    """Check a raw image and wrap it for the pipeline.

    Raises:
        BadMessageError: it is malformed.
    """
    check_image(message, max_pixels)
    return SourceImage(
        camera,
        stamp_to_ns(message.header.stamp),
        message.header.frame_id,
        int(message.width),
        int(message.height),
        partial(decode_image, message),
        partial(preview_of_image, message),
        received_s,
        message.encoding,
    )


def image_message(array: NDArray[Any], encoding: str, header: Header) -> Image:
    """Return an array as an Image message.

    Args:
        array: [H, W] or [H, W, C] whose dtype and channels fit `encoding` (mono8, rgb8, 32FC1).
        encoding: the message's encoding.
        header: stamp and frame of the source image.
    """
    message: Image = _bridge.cv2_to_imgmsg(np.ascontiguousarray(array), encoding=encoding)
    message.header = header
    return message
