"""The HoloLens kitchen recording: real colour frames, poses, depth at every sixth frame.

Images come from the bag (JPEG, 540x360, all 373 frames), depth, poses and intrinsics from the folder of the
original data set. Depth is time of flight: sparse towards the edges, 0 where missing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import FileFormatError
from lsm_core.io.bags import open_bag
from lsm_core.io.encoded_pictures import check_picture_size
from lsm_core.io.file_bytes import file_bytes


@dataclass(frozen=True)
class HoloLensRecording:
    """The recording without its images, an `RgbdSequence`.

    Attributes:
        names: per frame file name.
        T_world_cam: [N, 4, 4] float64, metres.
        K: [3, 3] float32, pixels of a 540x360 image.
        depth: frame -> [360, 540] float32 metres, 0 = none; every sixth frame.
        bag: path of the bag with the images, one message per frame.
        title: for tables.
    """

    names: tuple[str, ...]
    T_world_cam: Tensor
    K: Tensor
    depth: dict[int, Tensor]
    bag: Path
    title: str = "HoloLens kitchen"

    def __len__(self) -> int:
        return len(self.names)

    def label(self, index: int) -> str:
        """Return the name of a frame's file without its ending."""
        return self.names[index].removesuffix(".png")

    def measured(self) -> list[int]:
        """Return the frames with depth."""
        return sorted(self.depth)

    def pose(self, index: int) -> Tensor:
        """Return T_world_cam [4, 4] float64."""
        return self.T_world_cam[index]

    def intrinsics(self, index: int) -> Tensor:
        """Return K, the same for all frames."""
        return self.K

    def depth_map(self, index: int) -> Tensor | None:
        """Return a frame's depth, or None."""
        return self.depth.get(index)

    def images(self, indices: Collection[int]) -> dict[int, NDArray[np.uint8]]:
        """Read images from the bag.

        Raises:
            FileFormatError: the bag is absent, damaged or shorter than the recording.
        """
        wanted, images = set(indices), {}
        with open_bag(self.bag) as bag:
            for frame in bag.frames():
                if frame.index in wanted:
                    images[frame.index] = frame.image
        if set(images) != wanted:
            raise FileFormatError(f"{self.bag} lacks {len(wanted) - len(images)} of the frames that are needed.")
        return images


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


def _read_depth(path: Path) -> Tensor:
    """Return metres [H, W] float32 of a 16-bit millimetre PNG."""
    check_picture_size(file_bytes(path), f"'{path}'")
    raw = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if raw is None or raw.dtype != np.uint16 or raw.ndim != 2:
        raise FileFormatError(f"{path} is not a 16-bit depth image.")
    return torch.from_numpy(raw.astype(np.float32) / 1000.0)
