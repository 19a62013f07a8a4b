"""Compressed images to RGB: the picture's own header is read and judged before anything is decoded."""

from __future__ import annotations

import io
import re
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PilImage
from sensor_msgs.msg import CompressedImage

from lsm_core.mapping.small_image import MAX_WIDTH, small_gray
from lsm_perception.accounting import Drop
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.images import check_size
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.source_image import Gray, Rgb, SourceImage

# Others (tiff, webp) let a small file ask for large buffers before its size is known to us.
_PICTURE_FORMATS = ("JPEG", "PNG")
_FORMAT_OK = re.compile(r"jpe?g|png|^$", re.IGNORECASE)
_DEPTH_FORMAT = re.compile(r"compressedDepth", re.IGNORECASE)
_JPEG_END = b"\xff\xd9"
_PNG_END = b"IEND"
_REDUCED = (
    (8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
    (4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    (2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
)


def check_compressed(message: CompressedImage, max_pixels: int) -> tuple[int, int]:
    """Check a compressed image by its own header, without decoding it.

    The format string must name jpeg or png (or nothing); which of the two it is, the data say.

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
        raise BadMessageError(
            Drop.BAD_SIZE, f"The picture claims too many pixels: {error}.", "Publish smaller pictures."
        ) from error
    except Exception as error:  # Pillow raises many kinds for damaged headers
        raise BadMessageError(
            Drop.BAD_DATA, f"{len(data)} bytes are not a picture: {error}.", "Publish whole jpeg or png files."
        ) from error
    check_size(width, height, max_pixels)
    if (_JPEG_END if kind == "JPEG" else _PNG_END) not in data[-64:]:
        raise BadMessageError(
            Drop.BAD_DATA, f"The {str(kind).lower()} is cut off: its end marker is missing.", "Publish whole files."
        )
    return width, height


def decode_compressed(message: CompressedImage, width: int, height: int) -> Rgb:
    """Return a checked compressed image as [height, width, 3] uint8 RGB; 16 bits keep the high byte, alpha goes.

    Raises:
        BadMessageError: the data cannot be decoded, or the picture is not as large as its header says.
    """
    picture = _decoded(message, cv2.IMREAD_COLOR)
    if picture.shape != (height, width, 3):
        raise BadMessageError(
            Drop.BAD_DATA,
            f"The picture's header says {width}x{height}, its data {picture.shape[1]}x{picture.shape[0]}.",
            "Publish whole files.",
        )
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def preview_of_compressed(message: CompressedImage, width: int) -> Gray:
    """Return a checked compressed image as `small_gray` does; a jpeg's blocks are decoded at reduced size only.

    A png has no reduced form: it is decoded whole.

    Raises:
        BadMessageError: the data cannot be decoded.
    """
    flag = next((reduced for factor, reduced in _REDUCED if width >= factor * MAX_WIDTH), cv2.IMREAD_GRAYSCALE)
    return small_gray(_decoded(message, flag))


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
        partial(decode_compressed, message, width, height),
        partial(preview_of_compressed, message, width),
        received_s,
        message.format,
    )


def _decoded(message: CompressedImage, flag: int) -> NDArray[Any]:
    # Cameras do not turn pictures by EXIF, and a turned picture would not fit its camera_info.
    try:
        picture = cv2.imdecode(np.frombuffer(message.data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise BadMessageError(
            Drop.BAD_DATA, f"OpenCV cannot decode the picture: {error}", "Publish whole files."
        ) from error
    if picture is None:
        raise BadMessageError(Drop.BAD_DATA, "OpenCV cannot decode the picture.", "Publish whole files.")
    return np.asarray(picture, np.uint8)
