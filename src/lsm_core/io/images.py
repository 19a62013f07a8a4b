"""Reading photographs as they are meant to be seen, writing PNG."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.atomic import atomic_path
from lsm_core.io.encoded_pictures import MAX_PIXELS

MAX_BYTES = 512 * 1024 * 1024
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM")
_EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "La", "RGBa", "HSV", "LAB"}


def read_image(path: str | Path, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an 8-bit image, turned upright as its EXIF orientation says.

    Args:
        path: a JPEG, PNG, BMP, TIFF, WebP or PNM file.
        max_pixels: larger images are refused before they are decoded.

    Returns:
        [H, W, 3] uint8 RGB; transparency is dropped.

    Raises:
        FileFormatError: no such file, not an image, damaged, more than 8 bits, or too large.
    """
    file = Path(path)
    if not file.is_file():
        raise FileFormatError(f"There is no image file '{file}'.", "Check the path.")
    if file.stat().st_size > MAX_BYTES:
        raise FileFormatError(f"'{file}' is larger than {MAX_BYTES >> 20} MiB.", "Pass a smaller image.")
    return _decoded(file, f"'{file}'", max_pixels)


def decode_image(data: bytes, name: str, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Read an 8-bit image that is in memory, turned upright as its EXIF orientation says.

    Args:
        data: an encoded image.
        name: what it is called in messages.
        max_pixels: larger images are refused before they are decoded.

    Returns:
        [H, W, 3] uint8 RGB.

    Raises:
        FileFormatError: not an image, damaged, more than 8 bits, or too large.
    """
    return _decoded(io.BytesIO(data), name, max_pixels)


def _decoded(source: Path | IO[bytes], name: str, max_pixels: int) -> NDArray[np.uint8]:
    try:
        with Image.open(source, formats=FORMATS) as opened:
            if opened.width * opened.height > max_pixels:
                raise FileFormatError(
                    f"{name} has {opened.width}x{opened.height} pixels, more than {max_pixels} allowed.",
                    "Scale it down first.",
                )
            if opened.mode not in _EIGHT_BIT_MODES:
                raise FileFormatError(
                    f"{name} stores {opened.mode} samples, which is no 8-bit colour image.",
                    "Convert it to 8-bit RGB.",
                )
            upright = ImageOps.exif_transpose(opened)
            return np.array((upright or opened).convert("RGB"), dtype=np.uint8)
    except UnidentifiedImageError as error:
        raise FileFormatError(
            f"{name} is not an image of a known format.", f"Known formats: {', '.join(FORMATS)}."
        ) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileFormatError(f"{name} is damaged: {error}.", "Save or download the image again.") from error


def write_png(path: str | Path, image: NDArray[Any]) -> None:
    """Write an image atomically.

    Args:
        path: where to.
        image: [H, W, 3] or [H, W] uint8, [H, W] bool, or [H, W] uint16.

    Raises:
        InputError: another shape or dtype, or the file cannot be written.
    """
    array = np.ascontiguousarray(image.astype(np.uint8) * 255 if image.dtype == np.bool_ else image)
    gray = array.ndim == 2 and array.dtype in (np.uint8, np.uint16)
    if not gray and not (array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8):
        raise InputError(
            f"A PNG needs [H,W] or [H,W,3] 8-bit or [H,W] 16-bit data, got {array.shape} {array.dtype}."
        )
    with atomic_path(path) as temporary:
        Image.fromarray(array).save(temporary, format="PNG")


def write_depth_png(path: str | Path, depth: NDArray[Any] | Tensor, unit_per_step: float = 0.001) -> None:
    """Write z-depth as a 16-bit PNG, the layout RGB-D data sets use (millimetres by default).

    Args:
        path: where to.
        depth: [H, W] in scene units; not finite, not positive or too far for 16 bits becomes 0 (no value).
        unit_per_step: scene units of one grey step.
    """
    steps = np.asarray(depth, dtype=np.float64) / unit_per_step
    valid = np.isfinite(steps) & (steps >= 0.5) & (steps < 65535.5)
    write_png(path, np.where(valid, np.rint(np.where(valid, steps, 0)), 0).astype(np.uint16))
