"""Timed poses, and the TUM text format: `seconds tx ty tz qx qy qz qw` per line."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from lsm_core.errors import FileFormatError, InputError
from lsm_core.io.atomic import write_text
from lsm_core.io.file_bytes import file_bytes


@dataclass(frozen=True)
class Trajectory:
    """Poses over time.

    Attributes:
        stamps_ns: [N] int64 nanoseconds, ascending.
        poses: [N, 4, 4] float64, T_world_body.
    """

    stamps_ns: NDArray[np.int64]
    poses: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.stamps_ns)
        if self.poses.shape != (n, 4, 4):
            raise InputError(f"A trajectory needs N stamps and N 4x4 poses, got {n} and {self.poses.shape}.")
        if n > 1 and not bool(np.all(np.diff(self.stamps_ns) > 0)):
            raise InputError("The stamps of a trajectory must ascend.", "Sort the poses and drop repeated stamps.")

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @staticmethod
    def from_unsorted(stamps_ns: list[int], poses: list[NDArray[np.float64]]) -> Trajectory:
        """Sort by stamp; of equal stamps the last one given stays."""
        latest = dict(zip(stamps_ns, poses, strict=True))
        order = sorted(latest)
        stacked = np.stack([latest[s] for s in order]) if order else np.empty((0, 4, 4))
        return Trajectory(np.array(order, np.int64), stacked)

    def at(self, stamp_ns: int, max_gap_ns: int = 500_000_000) -> NDArray[np.float64] | None:
        """Interpolate (translation linear, rotation along the great arc).

        Returns:
            [4, 4], or None outside the covered time or inside a gap longer than `max_gap_ns`.
        """
        after = int(np.searchsorted(self.stamps_ns, stamp_ns))
        if after < len(self) and int(self.stamps_ns[after]) == stamp_ns:
            return self.poses[after].copy()
        if after in (0, len(self)):
            return None
        start, end = int(self.stamps_ns[after - 1]), int(self.stamps_ns[after])
        if end - start > max_gap_ns:
            return None
        return interpolate(self.poses[after - 1], self.poses[after], (stamp_ns - start) / (end - start))


def interpolate(a: NDArray[np.float64], b: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Return the pose [4, 4] that is `share` (0 to 1) of the way from a to b."""
    out = np.eye(4)
    turn = Rotation.from_matrix(a[:3, :3].T @ b[:3, :3]).as_rotvec()
    out[:3, :3] = a[:3, :3] @ Rotation.from_rotvec(share * turn).as_matrix()
    out[:3, 3] = (1 - share) * a[:3, 3] + share * b[:3, 3]
    return out


def write_tum(path: str | Path, trajectory: Trajectory, comment: str = "") -> None:
    """Write atomically; stamps keep their nanoseconds."""
    lines = [f"# {line}" for line in comment.splitlines()]
    quats = Rotation.from_matrix(trajectory.poses[:, :3, :3]).as_quat() if len(trajectory) else np.empty((0, 4))
    for stamp, pose, quat in zip(trajectory.stamps_ns.tolist(), trajectory.poses, quats, strict=True):
        numbers = " ".join(f"{value:.9g}" for value in [*pose[:3, 3], *quat])
        lines.append(f"{stamp // 10**9}.{stamp % 10**9:09d} {numbers}")
    write_text(path, "\n".join(lines) + "\n")


def read_tum(path: str | Path) -> Trajectory:
    """Read a TUM file; lines that start with # are comments.

    Raises:
        FileFormatError: missing, or a line that is not eight finite numbers with a unit quaternion.
    """
    file = Path(path)
    stamps: list[int] = []
    poses: list[NDArray[np.float64]] = []
    for number, line in enumerate(file_bytes(file).decode("utf-8", errors="replace").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        stamp, pose = _parse_line(line, f"'{file}' line {number}")
        stamps.append(stamp)
        poses.append(pose)
    return Trajectory.from_unsorted(stamps, poses)


def _parse_line(line: str, where: str) -> tuple[int, NDArray[np.float64]]:
    """Return stamp in nanoseconds and pose [4, 4]."""
    words = line.split()
    try:
        stamp = int((Decimal(words[0]) * 10**9).to_integral_value())
        values = np.array([float(word) for word in words[1:]])
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise FileFormatError(f"{where} is not made of numbers.", "TUM: seconds tx ty tz qx qy qz qw.") from error
    if values.shape != (7,) or not np.isfinite(values).all() or abs(np.linalg.norm(values[3:]) - 1) > 1e-2:
        raise FileFormatError(
            f"{where} is no stamp, position and unit quaternion.", "TUM: seconds tx ty tz qx qy qz qw."
        )
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat(values[3:]).as_matrix()
    pose[:3, 3] = values[:3]
    return stamp, pose
