"""Gaussians as NumPy arrays, exactly as this library holds them."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.archive_limits import check_unpacked_size
from lsm_core.io.array_archive import array_member
from lsm_core.io.atomic import atomic_path
from lsm_core.io.file_bytes import file_bytes
from lsm_core.types import Gaussians

NAMES = ("means", "quats", "scales", "opacities", "sh")
# What NumPy and zipfile raise for an archive that is none or damaged.
_DAMAGE = (OSError, KeyError, ValueError, AttributeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def write_npz(path: str | Path, gaussians: Gaussians) -> None:
    """Write means, quats (wxyz), scales, opacities, sh, and features where present; nothing is lost."""
    names = NAMES if gaussians.features is None else (*NAMES, "features")
    arrays = {name: getattr(gaussians, name).detach().cpu().numpy() for name in names}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_npz(path: str | Path) -> Gaussians:
    """Read what `write_npz` wrote.

    Raises:
        FileFormatError: missing, no NumPy archive, too large unpacked, or without the arrays of Gaussians.
    """
    data = io.BytesIO(file_bytes(path))
    try:
        with zipfile.ZipFile(data) as archive:
            check_unpacked_size(archive, str(path))
            there = set(archive.namelist())
            names = [*NAMES, "features"] if "features.npy" in there else list(NAMES)
            arrays = {name: array_member(archive, archive.getinfo(f"{name}.npy")) for name in names}
        return Gaussians(**{name: torch.from_numpy(array.astype(np.float32)) for name, array in arrays.items()})
    except (*_DAMAGE, InputError) as error:
        raise FileFormatError(
            f"'{path}' does not hold the arrays of Gaussians: {error}.", f"It needs {', '.join(NAMES)}."
        ) from error
