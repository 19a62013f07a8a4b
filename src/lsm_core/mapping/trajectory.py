"""Stamped camera poses by segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lsm_core.errors import InputError


@dataclass(frozen=True)
class TrajectoryArrays:
    """One segment as arrays: stamps_ns [N] int64, positions [N, 3] float64, quats [N, 4] float64 wxyz."""

    stamps_ns: NDArray[np.int64]
    positions: NDArray[np.float64]
    quats: NDArray[np.float64]

    def poses(self) -> list[tuple[int, NDArray[np.float64]]]:
        """Return stamp and T_map_cam [4, 4] of each."""
        T = np.tile(np.eye(4), (len(self.stamps_ns), 1, 1))
        if len(T):
            T[:, :3, :3] = Rotation.from_quat(self.quats, scalar_first=True).as_matrix()
        T[:, :3, 3] = self.positions
        return [(int(stamp), pose) for stamp, pose in zip(self.stamps_ns, T, strict=True)]


class Trajectory:
    """Poses T_map_cam of keyframes, grouped by segment, in order of time within each.

    Args:
        max_poses: poses kept in all; the first stored of the oldest segment leaves first. None keeps all.
    """

    def __init__(self, max_poses: int | None = None) -> None:
        self._max_poses = max_poses
        self._poses: dict[int, dict[int, NDArray[np.float64]]] = {}

    def __len__(self) -> int:
        return sum(len(poses) for poses in self._poses.values())

    @property
    def segments(self) -> list[int]:
        """Segment numbers in order of first appearance."""
        return list(self._poses)

    def add(self, stamp_ns: int, T_map_cam: NDArray[np.floating], segment: int) -> None:
        """Store a pose; the same stamp in the same segment is replaced.

        Raises:
            InputError: not a finite 4x4 matrix.
        """
        T = np.asarray(T_map_cam, dtype=np.float64)
        if T.shape != (4, 4) or not np.isfinite(T).all():
            raise InputError("A pose must be a finite 4x4 matrix.")
        self._poses.setdefault(segment, {})[stamp_ns] = T.copy()
        while self._max_poses is not None and len(self) > self._max_poses:
            oldest = next(iter(self._poses))
            self._poses[oldest].pop(next(iter(self._poses[oldest])))
            if not self._poses[oldest]:
                del self._poses[oldest]

    def arrays(self, segment: int, metres_per_unit: float = 1.0) -> TrajectoryArrays:
        """Return a segment's poses, positions multiplied by `metres_per_unit`; empty for an unknown segment."""
        poses = self._poses.get(segment, {})
        stamps = sorted(poses)
        T = np.array([poses[stamp] for stamp in stamps]).reshape(-1, 4, 4)
        quats = Rotation.from_matrix(T[:, :3, :3]).as_quat(scalar_first=True) if stamps else np.zeros((0, 4))
        return TrajectoryArrays(np.array(stamps, dtype=np.int64), metres_per_unit * T[:, :3, 3], quats)

    def clear(self) -> None:
        """Forget all poses."""
        self._poses.clear()
