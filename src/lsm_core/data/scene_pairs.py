"""Frames and pairs of a recording worth learning from: by overlap where depth is known, else by camera motion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm_core.data.formats.scene import Scene
from lsm_core.data.overlap import seen_share
from lsm_core.data.views import PosedView


@dataclass(frozen=True)
class PairRules:
    """What makes a pair.

    Attributes:
        step_m, step_deg: a frame is passed over until the camera moved or turned by this since the last kept one.
        baseline_m: smallest and largest distance of the two cameras.
        overlap: smallest and largest share of each view's pixels that the other sees (with depth).
        turn_deg: largest angle between the two viewing directions (without depth).
        neighbours: how many kept frames after each one are looked at.
    """

    step_m: float = 0.08
    step_deg: float = 8.0
    baseline_m: tuple[float, float] = (0.02, 2.0)
    overlap: tuple[float, float] = (0.1, 0.97)
    turn_deg: float = 40.0
    neighbours: int = 6


@dataclass(frozen=True, eq=False)
class ScenePairs:
    """Pairs [P, 2] int32 of places in a list of frames, i < j, and their overlap [P] (NaN where not known)."""

    pairs: NDArray[np.int32]
    overlap: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.pairs)


def moving_frames(scene: Scene, rules: PairRules) -> list[int]:
    """Return the usable frames between which the camera moved or turned enough (lengths count in metric scenes)."""
    kept: list[int] = []
    last: NDArray[np.float64] | None = None
    for index in scene.usable():
        T = scene.pose(index)
        moved = last is None or turn_deg(last, T) >= rules.step_deg
        if last is not None and scene.unit == "metric":
            moved = moved or float(np.linalg.norm(T[:3, 3] - last[:3, 3])) >= rules.step_m
        if moved or scene.unit != "metric":
            kept.append(index)
            last = T
    return kept


def pairs_by_overlap(views: Sequence[PosedView], rules: PairRules) -> ScenePairs:
    """Choose pairs of views with depth, in order of the first one."""
    found, shares = [], []
    for i, j in _neighbours(len(views), rules):
        a, b = views[i], views[j]
        if a.depth is None or b.depth is None or not _apart(a.T_world_cam, b.T_world_cam, rules):
            continue
        forth = seen_share(a.depth, a.K, a.T_world_cam, b.depth, b.K, b.T_world_cam)
        share = min(forth, seen_share(b.depth, b.K, b.T_world_cam, a.depth, a.K, a.T_world_cam))
        if rules.overlap[0] <= share <= rules.overlap[1]:
            found.append((i, j))
            shares.append(share)
    return ScenePairs(np.array(found, np.int32).reshape(-1, 2), np.array(shares, np.float32))


def pairs_by_motion(poses: Sequence[NDArray[np.float64]], metric: bool, rules: PairRules) -> ScenePairs:
    """Choose pairs without depth: cameras that look nearly the same way, moved apart by a baseline that helps.

    Args:
        poses: T_world_cam of the kept frames.
        metric: whether their unit is the metre; else the baseline is not looked at.
        rules: limits.
    """
    found = []
    for i, j in _neighbours(len(poses), rules):
        near = turn_deg(poses[i], poses[j]) <= rules.turn_deg
        if near and (not metric or _apart(poses[i], poses[j], rules)):
            found.append((i, j))
    return ScenePairs(np.array(found, np.int32).reshape(-1, 2), np.full(len(found), np.nan, np.float32))


def turn_deg(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return the angle between two orientations, degrees."""
    cosine = (np.trace(a[:3, :3].T @ b[:3, :3]) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _neighbours(count: int, rules: PairRules) -> list[tuple[int, int]]:
    return [(i, j) for i in range(count) for j in range(i + 1, min(count, i + 1 + rules.neighbours))]


def _apart(a: NDArray[np.float64], b: NDArray[np.float64], rules: PairRules) -> bool:
    low, high = rules.baseline_m
    return low <= float(np.linalg.norm(a[:3, 3] - b[:3, 3])) <= high
