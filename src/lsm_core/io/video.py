"""Films: mp4 through the FFmpeg that OpenCV's wheels carry (VP9; LGPL, no GPL encoder), animated WebP and GIF.

The wheels that wrap FFmpeg's own program or its x264 (imageio-ffmpeg, PyAV) bring GPL code; VP9 plays in browsers
and players as well and needs no further package.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from lsm_core.errors import DependencyError, InputError
from lsm_core.io.atomic import atomic_path
from lsm_core.io.colormaps import RgbImage

_CODEC = "vp09"
_FIX = "pip install opencv-python-headless (its wheel carries the encoder), or write PNG frames (--format png)."


def write_video(path: str | Path, frames: Iterable[RgbImage], fps: float = 20.0) -> int:
    """Write an mp4 (VP9) atomically.

    Args:
        path: ends with .mp4.
        frames: [H, W, 3] uint8 RGB, all of one size; an odd last row or column is left out, as the format needs.
        fps: pictures per second.

    Returns:
        How many frames were written.

    Raises:
        DependencyError: this OpenCV cannot write VP9.
        InputError: no frames, frames of several sizes, or the file cannot be written.
    """
    count, size = 0, (0, 0)
    with atomic_path(path) as temporary:
        writer: cv2.VideoWriter | None = None
        try:
            for frame in frames:
                if writer is None:
                    size = (frame.shape[1] // 2 * 2, frame.shape[0] // 2 * 2)
                    writer = _open(temporary, size, fps)
                elif (frame.shape[1] // 2 * 2, frame.shape[0] // 2 * 2) != size:
                    raise InputError(f"Frame {count} is {frame.shape[1]}x{frame.shape[0]}, the others {size}.")
                writer.write(np.ascontiguousarray(frame[: size[1], : size[0], ::-1]))
                count += 1
        finally:
            if writer is not None:
                writer.release()
        if count == 0:
            raise InputError("A film needs at least one frame.")
        _check_whole(temporary, count, Path(path))
    return count


def check_video() -> None:
    """Try the encoder.

    Raises:
        DependencyError: `write_video` cannot work here.
    """
    with tempfile.TemporaryDirectory() as folder:
        _open(Path(folder) / "probe.mp4", (64, 48), 10.0).release()


def can_write_video() -> bool:
    """Say whether `write_video` can work here."""
    try:
        check_video()
    except DependencyError:
        return False
    return True


def write_animation(path: str | Path, frames: Sequence[RgbImage], fps: float = 20.0, quality: int = 70) -> None:
    """Write an animated WebP or GIF (by the ending) atomically; it repeats for ever.

    Raises:
        InputError: no frames, or another ending.
    """
    form = {".webp": "WEBP", ".gif": "GIF"}.get(Path(path).suffix.lower())
    if form is None or not frames:
        raise InputError("An animation needs frames and a name that ends with .webp or .gif.")
    pictures = [Image.fromarray(np.ascontiguousarray(frame)) for frame in frames]
    with atomic_path(path) as temporary:
        options = {"quality": quality, "method": 4} if form == "WEBP" else {"optimize": True}
        pictures[0].save(
            temporary,
            format=form,
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 / fps),
            loop=0,
            **options,
        )


def _check_whole(temporary: Path, count: int, path: Path) -> None:
    """Raise InputError if a film has not all its frames: the encoder does not say when the disk is full."""
    reader = cv2.VideoCapture(str(temporary))
    found = int(reader.get(cv2.CAP_PROP_FRAME_COUNT))
    reader.release()
    if found != count:
        raise InputError(f"Cannot write '{path}': {found} of {count} frames arrived.", "Check free space.")


def _open(path: Path, size: tuple[int, int], fps: float) -> cv2.VideoWriter:
    """Open an encoder for (width, height)."""
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*_CODEC), fps, size)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not writer.isOpened():
        raise DependencyError("This OpenCV has no VP9 encoder, so no mp4 can be written.", _FIX)
    return writer
