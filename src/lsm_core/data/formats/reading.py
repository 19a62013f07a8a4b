"""Reading the small files of data sets (matrices, poses, arrays, JSON, depth), checked: they come from outside."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lsm_core.errors import FileFormatError
from lsm_core.io.images import MAX_PIXELS

MAX_TEXT_BYTES = 256 * 1024 * 1024
MAX_ARRAY_BYTES = 512 * 1024 * 1024
NEARLY_RIGID = 1e-2  # text files round: rotations this close to orthonormal are made so

Matrix = NDArray[np.float64]


def read_text(path: Path) -> str:
    """Return a text file.

    Raises:
        FileFormatError: missing, larger than 256 MiB, or no UTF-8 text.
    """
    if not path.is_file():
        raise FileFormatError(f"There is no file '{path}'.", "Check that the data set was copied in full.")
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise FileFormatError(f"'{path}' is larger than {MAX_TEXT_BYTES >> 20} MiB.", "It is no file of this kind.")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileFormatError(f"'{path}' cannot be read as text: {error}.", "Copy it again.") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        FileFormatError: missing, too large, or no JSON.
    """
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"'{path}' is no JSON: {error}.", "Copy it again; it may be truncated.") from error


def read_numbers(path: Path, what: str) -> Matrix:
    """Return all numbers of a text file in a row; nan and inf are numbers here.

    Raises:
        FileFormatError: missing, or something else stands in it.
    """
    try:
        return np.array(read_text(path).replace(",", " ").split(), np.float64)
    except ValueError as error:
        raise FileFormatError(f"'{path}' holds no {what}: {error}.", "It must be numbers only.") from error


def rigid_pose(numbers: Any, where: str) -> Matrix:
    """Return T [4, 4] of 16 (or 12) numbers, its rotation made exactly orthonormal.

    Args:
        numbers: 4x4 or 3x4, in any shape, row by row.
        where: names file and key in messages.

    Raises:
        FileFormatError: another count, NaN or infinite (as ScanNet writes where tracking was lost), or not rigid.
    """
    flat = np.asarray(numbers, np.float64).reshape(-1)
    if flat.size not in (12, 16):
        raise FileFormatError(f"{where} has {flat.size} numbers.", "A pose has 16 (4x4) or 12 (3x4), row by row.")
    if not np.isfinite(flat).all():
        raise FileFormatError(f"{where} is not finite.", "Leave this frame out: its tracking was lost.")
    T = np.vstack([flat.reshape(-1, 4)[:3], (0, 0, 0, 1)])
    U, stretch, Vt = np.linalg.svd(T[:3, :3])
    if np.abs(stretch - 1).max() > NEARLY_RIGID or np.linalg.det(U @ Vt) < 0:
        raise FileFormatError(
            f"{where} is no rigid transform.", "Check that it is camera to world, row by row, without a scale."
        )
    T[:3, :3] = U @ Vt
    return T


def read_pose(path: Path) -> Matrix:
    """Return T_world_cam [4, 4] of a text file with 16 numbers.

    Raises:
        FileFormatError: see `rigid_pose`.
    """
    return rigid_pose(read_numbers(path, "pose"), f"The pose '{path}'")


def pinhole(numbers: Any, where: str) -> NDArray[np.float32]:
    """Return K [3, 3] of 9 or 16 numbers (matrices) or 4 (fx fy cx cy).

    Raises:
        FileFormatError: another count, not finite, or no positive focal lengths.
    """
    flat = np.asarray(numbers, np.float64).reshape(-1)
    K = np.eye(3)
    if flat.size == 4:
        K[0, 0], K[1, 1], K[0, 2], K[1, 2] = flat
    elif flat.size in (9, 16):
        side = 3 if flat.size == 9 else 4
        K = flat.reshape(side, side)[:3, :3]
    if flat.size not in (4, 9, 16) or not np.isfinite(K).all() or not (K[0, 0] > 0 and K[1, 1] > 0):
        raise FileFormatError(
            f"{where} is no pinhole camera.", "Give fx fy cx cy or a 3x3 matrix with fx, fy > 0, in pixels."
        )
    return K.astype(np.float32)


def read_intrinsics(path: Path) -> NDArray[np.float32]:
    """Return K [3, 3] of a text file.

    Raises:
        FileFormatError: see `pinhole`.
    """
    return pinhole(read_numbers(path, "intrinsics"), f"The camera '{path}'")


def read_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """Return named arrays of an .npz; nothing in it is executed.

    Args:
        path: the file.
        shapes: wanted shape by key; -1 stands for any length.

    Raises:
        FileFormatError: missing, damaged, too large, a key is absent or has another shape.
    """
    if not path.is_file():
        raise FileFormatError(f"There is no file '{path}'.", "Check that the data set was copied in full.")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_ARRAY_BYTES:
                raise FileFormatError(
                    f"'{path}' unpacks to over {MAX_ARRAY_BYTES >> 20} MiB.", "It is no such file."
                )
        with np.load(path, allow_pickle=False) as stored:
            found = {key: stored[key] for key in shapes if key in stored.files}
            keys = ", ".join(stored.files)
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise FileFormatError(f"'{path}' is no intact .npz: {error}.", "Copy or convert it again.") from error
    for key, shape in shapes.items():
        if key not in found:
            raise FileFormatError(f"'{path}' has no key '{key}'; it has: {keys}.", "Convert the data again.")
        actual = found[key].shape
        if len(actual) != len(shape) or any(w not in (-1, a) for w, a in zip(shape, actual, strict=True)):
            raise FileFormatError(f"Key '{key}' of '{path}' has shape {actual}, not {shape}.", "Convert it again.")
    return found


def read_integers(path: Path) -> NDArray[np.int32]:
    """Return [H, W] of a one-channel 8- or 16-bit PNG: depth in steps, or class numbers.

    Raises:
        FileFormatError: missing, damaged, too large, or with several channels.
    """
    if not path.is_file():
        raise FileFormatError(f"There is no file '{path}'.", "Check that the data set was copied in full.")
    try:
        with Image.open(path, formats=("PNG",)) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise FileFormatError(f"'{path}' has {opened.width}x{opened.height} pixels.", "It is too large.")
            values = np.asarray(opened)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise FileFormatError(f"'{path}' is no intact PNG: {error}.", "Copy or make it again.") from error
    if values.ndim != 2 or values.dtype.kind not in "iu":
        raise FileFormatError(
            f"'{path}' has {values.dtype} values of shape {values.shape}.", "It must be one-channel, 8 or 16 bits."
        )
    return values.astype(np.int32)


def depth_of(steps: NDArray[np.int32], metres_per_step: float) -> NDArray[np.float32]:
    """Return depth [H, W] float32; 0 and 65535 (the sensors' "none") become 0."""
    known = (steps > 0) & (steps < 65535)
    return np.where(known, steps * np.float32(metres_per_step), 0).astype(np.float32)
