"""The pictures that the documents call a.jpg, b.jpg and so on: frames of the packaged sample, a little cropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from lsm_core.data import sample_path
from lsm_core.io import open_bag, read_image

FRAMES = (40, 44, 48)  # of the sample: they overlap, and the camera has moved between them
CROP = (8, 6)  # pixels cut off at each side: columns, rows
PICTURES = {
    0: ("a.jpg", "A", "kitchen_60.jpg", "00057.png", "00281.png", "left.jpg"),
    1: ("b.jpg", "B", "kitchen_66.jpg", "00063.png", "00287.png", "right.jpg"),
    2: ("c.jpg",),
}


@dataclass(frozen=True, eq=False)
class Picture:
    """An image [H, W, 3] uint8 RGB, its intrinsics [3, 3] in pixels, and T_world_cam [4, 4]."""

    image: NDArray[np.uint8]
    K: NDArray[np.float64]
    T_world_cam: NDArray[np.float64]


def sample_pictures() -> list[Picture]:
    """Return the cropped frames of the packaged sample."""
    columns, rows = CROP
    out = []
    with open_bag(sample_path()) as bag:
        frames = [frame for i, frame in enumerate(islice(bag.frames(), FRAMES[-1] + 1)) if i in FRAMES]
        trajectory = bag.camera_trajectory(frames[0].frame_id)
        assert trajectory is not None
        for frame in frames:
            K = np.array(frame.K, np.float64)
            K[:2, 2] -= CROP
            image = np.ascontiguousarray(frame.image[rows:-rows, columns:-columns])
            T = trajectory.at(frame.stamp_ns)
            assert T is not None
            out.append(Picture(image, K, T))
    return out


def write_pictures(folder: Path) -> None:
    """Write the three pictures under every name that a page uses."""
    for index, picture in enumerate(sample_pictures()):
        for name in PICTURES[index]:
            kind = "PNG" if name.endswith(".png") else "JPEG"
            Image.fromarray(picture.image).save(folder / name, kind, quality=92)


def stored_pictures(folder: Path) -> Sequence[Picture]:
    """Return the pictures with the images as their JPEG files have them, which is what commands read."""
    made = enumerate(sample_pictures())
    return [Picture(read_image(folder / PICTURES[i][0]), picture.K, picture.T_world_cam) for i, picture in made]
