"""Recordings with colour, depth and poses, from wherever they come; pairs of their frames chosen by overlap."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.data.formats import Scene, open_dataset
from lsm_core.data.views import PosedView
from lsm_core.errors import FileFormatError, InputError
from lsm_core.evaluation.pairs import EvalPair, EvalView, evenly_spaced
from lsm_core.geometry.camera import in_image, project, transform_points, unproject
from lsm_core.geometry.overlap import view_overlap
from lsm_core.geometry.se3 import relative, rotation_angle

OVERLAP_BINS = ((0.0, 0.05), (0.05, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
MAX_GAP = 24
MAX_ANCHORS = 100  # of a long recording, frames that pairs begin with
MIN_BASELINE_M = 0.05
OVERLAP_STRIDE = 3
NEIGHBOURS = 2  # frames with depth that say how deep a frame without is
KEPT_VIEWS = 2 * MAX_GAP + 2  # of a folder, read and not yet forgotten


class RgbdSequence(Protocol):
    """Frames of one recording in the order they were taken, metres throughout."""

    @property
    def title(self) -> str:
        """Name for tables."""

    def __len__(self) -> int: ...

    def label(self, index: int) -> str:
        """Return what a frame is called."""

    def measured(self) -> list[int]:
        """Return the frames with depth, in order."""

    def pose(self, index: int) -> Tensor:
        """Return T_world_cam [4, 4] float64."""

    def intrinsics(self, index: int) -> Tensor:
        """Return K [3, 3] float32, pixels of the frame's image and depth."""

    def depth_map(self, index: int) -> Tensor | None:
        """Return z-depth [H, W] float32, 0 where unknown; None for a frame without depth."""

    def images(self, indices: Collection[int]) -> dict[int, NDArray[np.uint8]]:
        """Return some frames' images [H, W, 3] uint8 RGB."""


class SceneSequence:
    """A scene of any format that `lsm_core.data.formats` reads, without the frames that cannot be used.

    Args:
        scene: with poses and depth in metres.

    Raises:
        FileFormatError: it lacks poses, depth or metres, or fewer than two frames can be used.
    """

    def __init__(self, scene: Scene) -> None:
        lacks = [w for w, has in (("poses", scene.has_poses), ("depth", scene.has_depth)) if not has]
        if scene.unit != "metric":
            lacks.append("metres")
        self._frames = [] if lacks else scene.usable()
        if lacks or len(self._frames) < 2:
            what = f"lacks {' and '.join(lacks)}" if lacks else "has fewer than two frames that can be used"
            raise FileFormatError(
                f"The recording '{scene.name}' {what}.", "A sequence needs images, depth and poses in metres."
            )
        self._scene, self.title = scene, scene.name
        self._view = lru_cache(maxsize=KEPT_VIEWS)(self._read)

    def __len__(self) -> int:
        return len(self._frames)

    def label(self, index: int) -> str:
        """Return what the data call a frame."""
        return self._scene.frames[self._frames[index]]

    def measured(self) -> list[int]:
        """Return all frames: which of them lacks depth shows when it is read."""
        return list(range(len(self)))

    def pose(self, index: int) -> Tensor:
        """Return T_world_cam [4, 4] float64."""
        return torch.from_numpy(np.array(self._scene.pose(self._frames[index]), np.float64))

    def intrinsics(self, index: int) -> Tensor:
        """Return K [3, 3] float32."""
        return torch.from_numpy(self._view(index).K.copy())

    def depth_map(self, index: int) -> Tensor | None:
        """Return z-depth [H, W] float32, or None."""
        depth = self._view(index).depth
        return None if depth is None or not (depth > 0).any() else torch.from_numpy(depth)

    def images(self, indices: Collection[int]) -> dict[int, NDArray[np.uint8]]:
        """Return some frames' images."""
        return {index: self._view(index).image for index in sorted(indices)}

    def _read(self, index: int) -> PosedView:
        return self._scene.view(self._frames[index])


def open_sequence(data: Path, scene: str | None = None) -> SceneSequence:
    """Open a recording of any format that `lsm_core.data.formats` reads.

    Args:
        data: its folder or file, or a folder of several.
        scene: which of several.

    Raises:
        InputError: there are several and none is named, or no such one.
        FileFormatError: nothing is there, or it lacks poses, depth or metres.
    """
    dataset = open_dataset(data)
    names = dataset.scenes
    if scene is None and len(names) != 1:
        raise InputError(f"'{data}' holds {len(names)} recordings.", f"Name one: --scene {' | '.join(names[:5])}.")
    return SceneSequence(dataset.scene(names[0] if scene is None else scene))


@dataclass(frozen=True)
class PairChoice:
    """Frames i (with depth) and j and the share of i's measured pixels that j sees."""

    i: int
    j: int
    overlap: float


def frames_apart(sequence: RgbdSequence, distance_m: float, turn_deg: float) -> list[int]:
    """Return frames, from the first one, each of which moved or turned that far since the one before."""
    frames = [0]
    for index in range(1, len(sequence)):
        T = relative(sequence.pose(frames[-1]), sequence.pose(index))
        turned = math.degrees(float(rotation_angle(T)))
        if float(T[:3, 3].norm()) >= distance_m or turned >= turn_deg:
            frames.append(index)
    return frames


def choose_pairs(
    sequence: RgbdSequence, frames: Sequence[int] | None = None, test_occlusion: bool = False
) -> list[PairChoice]:
    """Choose pairs evenly over overlap: per frame with depth and overlap bin the frame nearest the bin's middle.

    Candidates are at most 24 of the frames apart in either direction and moved at least 5 cm; of more than 100
    frames with depth as many, evenly spread, are taken. The list is the same on every machine.

    Args:
        sequence: the recording.
        frames: ascending, those that pairs are made of; None for all. A recording at a high rate needs fewer, or
            all frames within reach look alike.
        test_occlusion: what lies behind the other frame's surface does not overlap, where its depth is known.
            Without it the overlap of frames far apart can be through a wall.
    """
    chosen = []
    usable = list(range(len(sequence))) if frames is None else list(frames)
    measured = set(sequence.measured())
    for i in evenly_spaced([f for f in usable if f in measured], MAX_ANCHORS):
        at = usable.index(i)
        near = usable[max(0, at - MAX_GAP) : at + MAX_GAP + 1]
        candidates = list(_candidates(sequence, i, near, test_occlusion))
        for low, high in OVERLAP_BINS:
            inside = [c for c in candidates if low <= c.overlap < high or (high == 1.0 and c.overlap == 1.0)]
            if inside:
                middle = (low + high) / 2
                chosen.append(min(inside, key=lambda c: (abs(c.overlap - middle), abs(c.j - c.i), c.j)))
    return chosen


def load_pairs(sequence: RgbdSequence, choices: Sequence[PairChoice]) -> list[EvalPair]:
    """Read the images, depth and cameras of the chosen pairs.

    Raises:
        FileFormatError: a frame cannot be read.
    """
    images = sequence.images({c.i for c in choices} | {c.j for c in choices})
    views = {
        k: EvalView(sequence.label(k), image, sequence.intrinsics(k), sequence.depth_map(k))
        for k, image in images.items()
    }
    return [
        EvalPair((views[c.i], views[c.j]), relative(sequence.pose(c.i), sequence.pose(c.j)), c.overlap)
        for c in choices
    ]


def depth_seen_from(sequence: RgbdSequence, frame: int) -> Tensor | None:
    """Return [H, W] metres as a frame sees them, 0 = unknown: measured, or carried over from its neighbours.

    Where depth is there for some frames only, the points of the two such frames nearest in time are moved to where
    this frame sees them, the nearest point at a pixel counting. None where no depth was measured at all.
    """
    own = sequence.depth_map(frame)
    if own is not None:
        return own
    found: Tensor | None = None
    for i in sorted(sequence.measured(), key=lambda i: abs(i - frame))[:NEIGHBOURS]:
        measured = sequence.depth_map(i)
        if measured is None:
            continue
        if found is None:
            found = torch.full_like(measured, torch.inf)
        height, width = (int(n) for n in found.shape)
        K, T_frame_i = sequence.intrinsics(i), relative(sequence.pose(frame), sequence.pose(i)).float()
        points = transform_points(T_frame_i, unproject(measured, K)[measured > 0])
        pixels, z = project(points, K)
        inside = in_image(pixels, height, width)
        x, y = pixels[inside].round().long().unbind(-1)
        at = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
        found.view(-1).scatter_reduce_(0, at, z[inside], "amin")
    return None if found is None else found.nan_to_num(posinf=0.0)


def _candidates(sequence: RgbdSequence, i: int, near: Sequence[int], test_occlusion: bool) -> Iterator[PairChoice]:
    """Yield frames near frame i with their overlap; the camera is taken to be the same."""
    depth = sequence.depth_map(i)
    if depth is None:
        return
    size = (int(depth.shape[0]), int(depth.shape[1]))
    sparse = depth[::OVERLAP_STRIDE, ::OVERLAP_STRIDE]
    if not bool((sparse > 0).any()):
        return
    every_nth = torch.diag(torch.tensor([1 / OVERLAP_STRIDE, 1 / OVERLAP_STRIDE, 1.0]))
    K = sequence.intrinsics(i)
    for j in near:
        T_i_j = relative(sequence.pose(i), sequence.pose(j))
        if j != i and float(T_i_j[:3, 3].norm()) >= MIN_BASELINE_M:
            behind = sequence.depth_map(j) if test_occlusion else None
            yield PairChoice(i, j, view_overlap(sparse, every_nth @ K, T_i_j.float(), K, size, behind))
