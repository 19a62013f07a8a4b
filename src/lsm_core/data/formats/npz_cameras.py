"""Cameras that stand beside each picture as an .npz with intrinsics and a camera-to-world matrix."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.reading import pinhole, read_arrays, rigid_pose


class NpzCameras:
    """Reads them when asked for.

    Args:
        paths: of each frame.
        intrinsics_key, pose_key: names of the 3x3 and the 4x4 array.
    """

    def __init__(self, paths: Sequence[Path], intrinsics_key: str, pose_key: str) -> None:
        self.paths, self.intrinsics_key, self.pose_key = tuple(paths), intrinsics_key, pose_key
        self._read = lru_cache(maxsize=8)(self._arrays)

    def intrinsics(self, index: int) -> NDArray[np.float32]:
        """Return K [3, 3]."""
        key = self.intrinsics_key
        return pinhole(self._read(index)[key], f"Key '{key}' of '{self.paths[index]}'")

    def pose(self, index: int) -> NDArray[np.float64]:
        """Return T_world_cam [4, 4]."""
        return rigid_pose(self._read(index)[self.pose_key], f"Key '{self.pose_key}' of '{self.paths[index]}'")

    def _arrays(self, index: int) -> dict[str, NDArray[Any]]:
        return read_arrays(self.paths[index], {self.intrinsics_key: (3, 3), self.pose_key: (4, 4)})
