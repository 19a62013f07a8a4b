"""A tree of coordinate frames over time, as a bag's /tf and /tf_static describe it."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from lsm_core.io.trajectories import Trajectory

Pose = NDArray[np.float64]


class TransformTree:
    """Looks up T_target_source at a time; edges are added first, then looked up."""

    def __init__(self) -> None:
        self._static: dict[str, tuple[str, Pose]] = {}
        self._samples: dict[str, tuple[str, list[int], list[Pose]]] = {}
        self._moving: dict[str, Trajectory] = {}

    def add_static(self, parent: str, child: str, T_parent_child: Pose) -> None:
        """Fix `child` in `parent`; the last word counts."""
        self._static[child] = (parent, T_parent_child)

    def add(self, parent: str, child: str, stamp_ns: int, T_parent_child: Pose) -> None:
        """Add one sample of a moving frame; another parent than before starts the frame anew."""
        known = self._samples.get(child)
        if known is None or known[0] != parent:
            known = self._samples[child] = (parent, [], [])
        known[1].append(stamp_ns)
        known[2].append(T_parent_child)
        self._moving.pop(child, None)

    @property
    def frames(self) -> set[str]:
        """Names of all frames."""
        names = set(self._static) | set(self._samples)
        return names | {p for p, _ in self._static.values()} | {p for p, *_ in self._samples.values()}

    def roots(self) -> set[str]:
        """Names of the frames without a parent."""
        return self.frames - set(self._static) - set(self._samples)

    def parent(self, frame: str) -> str | None:
        """Return the parent's name, or None for a root or an unknown frame."""
        edge = self._static.get(frame) or self._samples.get(frame)
        return None if edge is None else edge[0]

    def path_to_root(self, frame: str) -> list[str]:
        """Return the frame, its parent, and so on; a loop ends the list."""
        path = [frame]
        while (up := self.parent(path[-1])) is not None and up not in path:
            path.append(up)
        return path

    def lookup(self, target: str, source: str, stamp_ns: int) -> Pose | None:
        """Return T_target_source [4, 4] at a time, or None when the tree does not connect them then."""
        ups, downs = self.path_to_root(source), self.path_to_root(target)
        common = next((frame for frame in ups if frame in downs), None)
        if common is None:
            return None
        T_common_source = self._climb(ups[: ups.index(common)], stamp_ns)
        T_common_target = self._climb(downs[: downs.index(common)], stamp_ns)
        if T_common_source is None or T_common_target is None:
            return None
        out: Pose = np.linalg.inv(T_common_target) @ T_common_source
        return out

    def trajectory(self, target: str, source: str) -> Trajectory:
        """Return T_target_source at every stamp of the moving frames between them."""
        between = set(self.path_to_root(source)) ^ set(self.path_to_root(target))
        stamps: dict[int, Pose] = {}
        for child in between & set(self._samples):
            for stamp in self._samples[child][1]:
                if stamp not in stamps and (pose := self.lookup(target, source, stamp)) is not None:
                    stamps[stamp] = pose
        return Trajectory.from_unsorted(list(stamps), list(stamps.values()))

    def children(self) -> dict[str, list[str]]:
        """Return parent -> children, for printing."""
        out: dict[str, list[str]] = defaultdict(list)
        for child in sorted(set(self._static) | set(self._samples)):
            out[str(self.parent(child))].append(child)
        return dict(out)

    def _climb(self, frames: list[str], stamp_ns: int) -> Pose | None:
        """Return T_top_bottom through the edges above `frames` (bottom first), or None where one is unknown."""
        T = np.eye(4)
        for frame in frames:
            if frame in self._static:
                edge: Pose | None = self._static[frame][1]
            else:
                if frame not in self._moving:
                    _, stamps, poses = self._samples[frame]
                    self._moving[frame] = Trajectory.from_unsorted(stamps, poses)
                edge = self._moving[frame].at(stamp_ns)
            if edge is None:
                return None
            T = edge @ T
        return T
