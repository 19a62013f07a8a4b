"""Stamped camera poses by segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class TrajectoryArrays:
    """One segment as arrays: stamps_ns [N] int64, positions [N, 3] float64, quats [N, 4] float64 wxyz."""

    stamps_ns: NDArray[np.int64]
    positions: NDArray[np.float64]
    quats: NDArray[np.float64]


class Trajectory:
    """Poses T_map_cam of keyframes, grouped by segment, in order of time within each."""

    def __init__(self) -> None:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    @property
    def segments(self) -> list[int]:
        """Segment numbers in order of first appearance."""
        raise NotImplementedError

    def add(self, stamp_ns: int, T_map_cam: NDArray[np.floating], segment: int) -> None:
        """Store a pose; the same stamp in the same segment is replaced."""
        raise NotImplementedError

    def arrays(self, segment: int, metres_per_unit: float = 1.0) -> TrajectoryArrays:
        """Return a segment's poses, positions multiplied by `metres_per_unit`; empty for an unknown segment."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget all poses."""
        raise NotImplementedError
