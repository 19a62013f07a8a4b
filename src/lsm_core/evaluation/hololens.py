"""The HoloLens kitchen recording: real colour frames, poses, depth at every sixth frame.

Images come from the bag (JPEG, 540x360, all 373 frames), depth, poses and intrinsics from the folder of the
original data set. Depth is time of flight: sparse towards the edges, 0 where missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import FileFormatError
from lsm_core.evaluation.pairs import EvalPair, EvalView
from lsm_core.geometry.camera import in_image, project, transform_points, unproject
from lsm_core.geometry.overlap import view_overlap
from lsm_core.geometry.se3 import relative
from lsm_core.io.bags import open_bag

OVERLAP_BINS = ((0.0, 0.05), (0.05, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1.0))
MAX_GAP = 24
MIN_BASELINE_M = 0.05
OVERLAP_STRIDE = 3
NEIGHBOURS = 2  # frames with depth that say how deep a frame without is


@dataclass(frozen=True)
class HoloLensRecording:
    """The recording without its images.

    Attributes:
        names: per frame file name.
        T_world_cam: [N, 4, 4] float64, metres.
        K: [3, 3] float32, pixels of a 540x360 image.
        depth: frame -> [360, 540] float32 metres, 0 = none; every sixth frame.
        bag: path of the bag with the images, one message per frame.
    """

    names: tuple[str, ...]
    T_world_cam: Tensor
    K: Tensor
    depth: dict[int, Tensor]
    bag: Path


@dataclass(frozen=True)
class PairChoice:
    """Frames i (with depth) and j and the share of i's measured pixels that j sees."""

    i: int
    j: int
    overlap: float


def read_recording(shared: Path) -> HoloLensRecording:
    """Read poses, intrinsics and depth.

    Raises:
        FileFormatError: a file is absent or has another shape.
    """
    folder = shared / "data" / "hololens_kitchen_dvmvs"
    try:
        names = tuple((folder / "all_frame_names.txt").read_text(encoding="utf-8").split())
        poses = torch.from_numpy(np.loadtxt(folder / "poses.txt")).reshape(-1, 4, 4)
        K = torch.from_numpy(np.loadtxt(folder / "K.txt")).float().reshape(3, 3)
    except (OSError, ValueError, RuntimeError) as error:
        raise FileFormatError(
            f"The HoloLens recording in {folder} cannot be read: {error}.", "Check --shared or LSM_SHARED."
        ) from error
    if len(names) != len(poses):
        raise FileFormatError(f"{folder} names {len(names)} frames but has {len(poses)} poses.")
    found = {i: folder / "depth" / name for i, name in enumerate(names) if (folder / "depth" / name).is_file()}
    depth = {i: _read_depth(path) for i, path in found.items()}
    return HoloLensRecording(names, poses, K, depth, shared / "data" / "bags" / "hololens_kitchen")


def choose_pairs(recording: HoloLensRecording) -> list[PairChoice]:
    """Choose pairs evenly over overlap: per depth frame and overlap bin the frame nearest the bin's middle.

    Candidates are at most 24 frames apart in either direction and moved at least 5 cm. The list is the same on
    every machine.
    """
    chosen = []
    for i in sorted(recording.depth):
        candidates = list(_candidates(recording, i))
        for low, high in OVERLAP_BINS:
            inside = [c for c in candidates if low <= c.overlap < high or (high == 1.0 and c.overlap == 1.0)]
            if inside:
                middle = (low + high) / 2
                chosen.append(min(inside, key=lambda c: (abs(c.overlap - middle), abs(c.j - c.i), c.j)))
    return chosen


def surface_depth(recording: HoloLensRecording, frame: int) -> Tensor:
    """Return [360, 540] metres as a frame sees them, 0 = unknown: measured, or carried over from its neighbours.

    Depth is there for every sixth frame; the points of the two such frames nearest in time are moved to where this
    frame sees them, at most five frames away, the nearest point at a pixel counting.
    """
    if frame in recording.depth:
        return recording.depth[frame]
    nearest = sorted(recording.depth, key=lambda i: abs(i - frame))[:NEIGHBOURS]
    found = torch.full_like(recording.depth[nearest[0]], torch.inf)
    height, width = (int(n) for n in found.shape)
    for i in nearest:
        measured = recording.depth[i]
        T_frame_i = relative(recording.T_world_cam[frame], recording.T_world_cam[i]).float()
        points = transform_points(T_frame_i, unproject(measured, recording.K)[measured > 0])
        pixels, z = project(points, recording.K)
        inside = in_image(pixels, height, width)
        x, y = pixels[inside].round().long().unbind(-1)
        at = y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
        found.view(-1).scatter_reduce_(0, at, z[inside], "amin")
    return found.nan_to_num(posinf=0.0)


def frame_of(recording: HoloLensRecording, view: EvalView) -> int:
    """Return the number of the frame that `load_pairs` made a view of."""
    return recording.names.index(f"{view.name}.png")


def load_pairs(recording: HoloLensRecording, choices: Sequence[PairChoice]) -> list[EvalPair]:
    """Read the images of the chosen pairs from the bag.

    Raises:
        FileFormatError: the bag is absent, damaged or shorter than the recording.
    """
    wanted = {c.i for c in choices} | {c.j for c in choices}
    images: dict[int, NDArray[np.uint8]] = {}
    with open_bag(recording.bag) as bag:
        for frame in bag.frames():
            if frame.index in wanted:
                images[frame.index] = frame.image
    if set(images) != wanted:
        raise FileFormatError(f"{recording.bag} lacks {len(wanted) - len(images)} of the frames that are needed.")

    def view(index: int) -> EvalView:
        name = recording.names[index].removesuffix(".png")
        return EvalView(name, images[index], recording.K, recording.depth.get(index))

    poses = recording.T_world_cam
    return [EvalPair((view(c.i), view(c.j)), relative(poses[c.i], poses[c.j]), c.overlap) for c in choices]


def _candidates(recording: HoloLensRecording, i: int) -> Iterator[PairChoice]:
    """Yield frames near frame i with their overlap."""
    depth = recording.depth[i]
    size = (int(depth.shape[0]), int(depth.shape[1]))
    sparse = depth[::OVERLAP_STRIDE, ::OVERLAP_STRIDE]
    every_nth = torch.diag(torch.tensor([1 / OVERLAP_STRIDE, 1 / OVERLAP_STRIDE, 1.0]))
    K_sparse = every_nth @ recording.K
    for j in range(max(0, i - MAX_GAP), min(len(recording.names), i + MAX_GAP + 1)):
        T_i_j = relative(recording.T_world_cam[i], recording.T_world_cam[j])
        if j != i and float(T_i_j[:3, 3].norm()) >= MIN_BASELINE_M:
            yield PairChoice(i, j, view_overlap(sparse, K_sparse, T_i_j.float(), recording.K, size))


def _read_depth(path: Path) -> Tensor:
    """Return metres [H, W] float32 of a 16-bit millimetre PNG."""
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16 or raw.ndim != 2:
        raise FileFormatError(f"{path} is not a 16-bit depth image.")
    return torch.from_numpy(raw.astype(np.float32) / 1000.0)
