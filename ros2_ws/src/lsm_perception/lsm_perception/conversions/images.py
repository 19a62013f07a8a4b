"""Image and CompressedImage to RGB, with every check made before a byte is decoded or allocated."""

from __future__ import annotations

import io
import re
from functools import partial
from typing import Any

import cv2
import numpy as np
from cv_bridge import CvBridge, CvBridgeError
from numpy.typing import NDArray
from PIL import Image as PilImage
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lsm_core.mapping.small_image import MAX_WIDTH, small_gray
from lsm_perception.accounting import Drop
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.source_image import Gray, Rgb, SourceImage

MIN_SIDE = 16
MAX_SIDE = 16_384

# encoding -> bytes per pixel; what cv_bridge turns into rgb8
_ENCODINGS: dict[str, int] = {
    "rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "rgb16": 6, "bgr16": 6, "rgba16": 8, "bgra16": 8,
    "mono8": 1, "mono16": 2, "8UC1": 1, "8UC3": 3,
    "bayer_rggb8": 1, "bayer_bggr8": 1, "bayer_gbrg8": 1, "bayer_grbg8": 1,
    "bayer_rggb16": 2, "bayer_bggr16": 2, "bayer_gbrg16": 2, "bayer_grbg16": 2,
    "yuv422": 2, "yuv422_yuy2": 2, "uyvy": 2, "yuyv": 2,
}  # fmt: skip
# OpenCV's plain names say nothing of colour; drivers mean these by them.
_MEANT = {"8UC1": "mono8", "8UC3": "bgr8"}
_PICTURE_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP")
_FORMAT_OK = re.compile(r"jpe?g|png|webp|tiff?|bmp|^$", re.IGNORECASE)
_DEPTH_FORMAT = re.compile(r"compressedDepth", re.IGNORECASE)
_bridge = CvBridge()


def check_image(message: Image, max_pixels: int) -> None:
    """Check size, step, encoding and data length of a raw image.

    Raises:
        BadMessageError: with the reason BAD_SIZE or BAD_ENCODING.
    """
    check_size(message.width, message.height, max_pixels)
    pixel_bytes = _ENCODINGS.get(message.encoding)
    if pixel_bytes is None:
        raise BadMessageError(
            Drop.BAD_ENCODING,
            f"Encoding '{message.encoding[:40]}' is not supported.",
            f"Publish one of: {', '.join(_ENCODINGS)}.",
        )
    if message.step < message.width * pixel_bytes:
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


def check_compressed(message: CompressedImage, max_pixels: int) -> tuple[int, int]:
    """Check a compressed image by its own header, without decoding it.

    Returns:
        (width, height).

    Raises:
        BadMessageError: with the reason BAD_DATA, BAD_ENCODING or BAD_SIZE.
    """
    if _DEPTH_FORMAT.search(message.format) or not _FORMAT_OK.search(message.format):
        raise BadMessageError(
            Drop.BAD_ENCODING, f"Compressed format '{message.format[:40]}' is unsupported.", "Publish jpeg or png."
        )
    data = bytes(message.data)
    try:
        with PilImage.open(io.BytesIO(data), formats=_PICTURE_FORMATS) as picture:
            (width, height), kind = picture.size, picture.format
    except PilImage.DecompressionBombError as error:
        raise BadMessageError(Drop.BAD_SIZE, f"The picture says it is vast: {error}.") from error
    except Exception as error:  # Pillow raises many kinds for damaged headers
        raise BadMessageError(
            Drop.BAD_DATA, f"{len(data)} bytes are not a picture: {error}.", "Publish whole jpeg or png files."
        ) from error
    check_size(width, height, max_pixels)
    if kind == "JPEG" and b"\xff\xd9" not in data[-64:]:
        raise BadMessageError(Drop.BAD_DATA, "The jpeg is cut off: its end marker is missing.")
    return width, height


def decode_image(message: Image) -> Rgb:
    """Return a checked raw image as a contiguous [height, width, 3] uint8 RGB array of its own.

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
        raise BadMessageError(Drop.BAD_ENCODING, f"Cannot convert {message.encoding} to RGB: {error}") from error
    return np.ascontiguousarray(rgb)


def decode_compressed(message: CompressedImage) -> Rgb:
    """Return a checked compressed image as [height, width, 3] uint8 RGB.

    Raises:
        BadMessageError: the data cannot be decoded.
    """
    return np.ascontiguousarray(cv2.cvtColor(_imdecode(message, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB))


def preview_of_image(message: Image) -> Gray:
    """Return a checked raw image as `small_gray` does."""
    return small_gray(decode_image(message))


def preview_of_compressed(message: CompressedImage, width: int) -> Gray:
    """Return a checked compressed image as `small_gray` does; a jpeg is decoded at reduced size."""
    flag = cv2.IMREAD_GRAYSCALE
    for factor, reduced in ((8, cv2.IMREAD_REDUCED_GRAYSCALE_8), (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
                            (2, cv2.IMREAD_REDUCED_GRAYSCALE_2)):  # fmt: skip
        if width >= factor * MAX_WIDTH:
            flag = reduced
            break
    return small_gray(_imdecode(message, flag))


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
    )


def source_from_compressed(
    message: CompressedImage, camera: str, max_pixels: int, received_s: float
) -> SourceImage:
    """Check a compressed image and wrap it for the pipeline.

    Raises:
        BadMessageError: it is malformed.
    """
    width, height = check_compressed(message, max_pixels)
    return SourceImage(
        camera,
        stamp_to_ns(message.header.stamp),
        message.header.frame_id,
        width,
        height,
        partial(decode_compressed, message),
        partial(preview_of_compressed, message, width),
        received_s,
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


def _imdecode(message: CompressedImage, flag: int) -> NDArray[np.uint8]:
    # Cameras do not turn pictures by EXIF, and a turned picture would not fit its camera_info.
    try:
        picture = cv2.imdecode(np.frombuffer(message.data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise BadMessageError(Drop.BAD_DATA, f"OpenCV cannot decode the picture: {error}") from error
    if picture is None:
        raise BadMessageError(Drop.BAD_DATA, "OpenCV cannot decode the picture.", "Publish whole files.")
    return np.asarray(picture, np.uint8)
