"""Gaussians in any format that this library reads, chosen by the file's ending."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lsm_core.errors import FileFormatError
from lsm_core.io.gaussian_ply import read_gaussians
from lsm_core.io.gltf import read_gltf
from lsm_core.io.npz import read_npz
from lsm_core.io.splat import read_splat
from lsm_core.io.spz import read_spz
from lsm_core.types import Gaussians

READERS: dict[str, Callable[[Path], Gaussians]] = {
    ".ply": read_gaussians,
    ".splat": read_splat,
    ".spz": read_spz,
    ".glb": read_gltf,
    ".npz": read_npz,
}


def read_scene(path: str | Path) -> Gaussians:
    """Read Gaussians.

    Raises:
        FileFormatError: an ending that is none of `READERS`, missing, damaged, or another kind of file.
    """
    file = Path(path)
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise FileFormatError(
            f"No reader of Gaussians is known for the ending '{file.suffix}'.", f"Use {', '.join(READERS)}."
        )
    return reader(file)
