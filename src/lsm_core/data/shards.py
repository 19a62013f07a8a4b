"""Training frames on disk: one uncompressed ``.npz`` per shard."""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from lsm_core.errors import FileFormatError


@dataclass(frozen=True)
class FrameShard:
    """F frames of R rooms and the pairs of them that overlap.

    World frames are per room (metres, z up); cameras are optical frames.
    """

    rgb: np.ndarray  # [F, H, W, 3] uint8
    depth: np.ndarray  # [F, H, W] float16 metres, 0 = none
    label: np.ndarray  # [F, H, W] uint8, index into lsm_core.data.classes.CLASSES
    K: np.ndarray  # [F, 3, 3] float32, pixels
    T_world_cam: np.ndarray  # [F, 4, 4] float32
    room: np.ndarray  # [F] int32
    pairs: np.ndarray  # [P, 2] int32, frame indices i < j
    overlap: np.ndarray  # [P] float32, smaller of the two directions


_DTYPES = {
    "rgb": "uint8",
    "depth": "float16",
    "label": "uint8",
    "K": "float32",
    "T_world_cam": "float32",
    "room": "int32",
    "pairs": "int32",
    "overlap": "float32",
}


def save_shard(shard: FrameShard, path: Path) -> None:
    """Write a shard; the file appears whole or not at all."""
    partial = path.with_name(path.name + f".{os.getpid()}.part")
    try:
        with partial.open("wb") as stream:
            arrays: dict[str, Any] = {
                f.name: np.asarray(getattr(shard, f.name), _DTYPES[f.name]) for f in fields(shard)
            }
            np.savez(stream, **arrays)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_shard(path: Path | str) -> FrameShard:
    """Read a shard.

    Raises:
        FileFormatError: the file is missing, damaged or not a shard.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {f.name: stored[f.name] for f in fields(FrameShard)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"Cannot read the shard {path}: {error}.", "generate it again.") from error
    for name, dtype in _DTYPES.items():
        if arrays[name].dtype != np.dtype(dtype):
            raise FileFormatError(
                f"Array {name} of {path} is {arrays[name].dtype}, not {dtype}.", "generate it again."
            )
    return FrameShard(**arrays)


def list_shards(folder: Path | str) -> list[Path]:
    """Return the complete shards of a folder in order; call again to find new ones."""
    return sorted(Path(folder).glob("shard_*.npz"))
