"""Gaussians as NumPy arrays, exactly as this library holds them."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np
import torch

from lsm_core.errors import FileFormatError, InputError
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
        FileFormatError: missing, no NumPy archive, or without the arrays of Gaussians.
    """
    data = io.BytesIO(file_bytes(path))
    try:
        with np.load(data, allow_pickle=False) as archive:
            names = [*NAMES, "features"] if "features" in archive else list(NAMES)
            return Gaussians(**{name: torch.from_numpy(archive[name].astype(np.float32)) for name in names})
    except (*_DAMAGE, InputError) as error:
        raise FileFormatError(
            f"'{path}' does not hold the arrays of Gaussians: {error}.", f"It needs {', '.join(NAMES)}."
        ) from error
