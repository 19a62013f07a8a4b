"""What an encoded picture says about itself, read from its header before a decoder takes memory for it."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from lsm_core.errors import FileFormatError

MAX_PIXELS = 100_000_000


def check_picture_size(data: bytes | Any, name: str, max_pixels: int = MAX_PIXELS) -> tuple[int, int]:
    """Return (width, height) of a JPEG or PNG, without decoding it.

    OpenCV's decoder takes memory for up to 2^30 pixels when a header of a few bytes asks for it.

    Args:
        data: the file's bytes, or an array of them.
        name: what it is called in messages.
        max_pixels: larger pictures are refused.

    Raises:
        FileFormatError: neither JPEG nor PNG, damaged, or too large.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as opened:
            width, height = opened.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileFormatError(f"{name} cannot be decoded: {error}.", "It must be a whole JPEG or PNG.") from error
    if width * height > max_pixels:
        raise FileFormatError(
            f"{name} has {width}x{height} pixels, more than {max_pixels} allowed.", "Scale it down first."
        )
    return width, height
