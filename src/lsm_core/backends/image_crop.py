"""How DUSt3R and its heirs bring an image to the model's size: the rules of both of their loaders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from lsm_core.errors import InputError

PORTRAIT = 1.1  # height over width above which the data sets' loader turns the resolution
LONG_EDGE_ASPECT = 4 / 3  # of its resolution where the long edge is given
MIN_WINDOW = 16
SQUARE_SIZES = (224, 256)  # sizes that mean a square crop; any other is the long edge


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image at the model's size.

    Attributes:
        pixels: [h, w, 3] uint8.
        grid_to_image: [3, 3] float32, pixel of the model's grid -> pixel of the image given, centres at integers.
    """

    pixels: NDArray[np.uint8]
    grid_to_image: Tensor

    @property
    def tensor(self) -> Tensor:
        """[1, 3, h, w] float32 in [-1, 1], the network's input."""
        values = torch.from_numpy(self.pixels).permute(2, 0, 1).float() / 255
        return ((values - 0.5) / 0.5)[None]


@dataclass(frozen=True)
class CropPlan:
    """What becomes of an image; pixels, boxes are (left, top, right, bottom).

    Attributes:
        resized: (width, height) after the resize.
        box: cut from that.
        window: cut before it; None for the whole image.
    """

    resized: tuple[int, int]
    box: tuple[int, int, int, int]
    window: tuple[int, int, int, int] | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the result."""
        return self.box[2] - self.box[0], self.box[3] - self.box[1]


def crop_plan(
    width: int,
    height: int,
    size: int,
    square_ok: bool = False,
    multiple: int = 32,
    exact_ratio: bool = False,
    square: bool | None = None,
) -> CropPlan:
    """Plan the crop of the reference's loader.

    Args:
        width, height: of the image, pixels.
        size: 224 or 256 for a square of that side, else the length of the long edge (512).
        square_ok: keep a square at other sizes; by default it becomes 4:3, as in the reference.
        multiple: the sides of the result are multiples of this (32 with LSeg, 16 without); at least one each.
        exact_ratio: a square becomes exactly 4:3, as in the reference, also where that is no such multiple.
        square: a square of side `size`, whatever the size; by default as said there. Rounding may leave it a little
            smaller, as in the reference.
    """
    square = size in SQUARE_SIZES if square is None else square
    longest = round(size * max(width / height, height / width)) if square else size
    # In this order of operations, as in the reference: a half is rounded the same way.
    w, h = (max(1, round(side * longest / max(width, height))) for side in (width, height))
    cx, cy = w // 2, h // 2
    if square:
        half_w = half_h = min(cx, cy)
    else:
        half_w, half_h = (2 * cx) // multiple * (multiple // 2), (2 * cy) // multiple * (multiple // 2)
        if not square_ok and w == h:
            half_h = 3 * half_w // 4
            half_h -= 0 if exact_ratio else half_h % (multiple // 2)
    return CropPlan((w, h), (cx - half_w, cy - half_h, cx + half_w, cy + half_h))


def dataset_plan(
    width: int, height: int, principal_point: tuple[float, float], size: int, square: bool | None = None
) -> CropPlan:
    """Plan the crop of the reference's data sets: about the principal point, scaled to cover the resolution, cut.

    The result is a camera whose principal point is in the middle, as the models were trained. A nearly square image
    keeps the resolution as it is, where training turned it at random. See `lsm_core.data.crop_resize`.

    Args:
        width, height: of the image, pixels.
        principal_point: (x, y), pixels.
        size: 224 or 256 for a square of that side, else the long edge of a 4:3 resolution.
        square: a square of that side, whatever the size; by default as said there.

    Raises:
        InputError: the principal point is so near the border that too little is left.
    """
    cx, cy = (int(np.round(v)) for v in principal_point)
    half_w, half_h = min(cx, width - cx), min(cy, height - cy)
    if 2 * min(half_w, half_h) < MIN_WINDOW:
        raise InputError(
            f"The principal point ({principal_point[0]:g}, {principal_point[1]:g}) of an image of {width}x{height} "
            "is too near its border to crop about it.",
            "Check the intrinsics, or crop about the middle (crop='middle').",
        )
    square = size in SQUARE_SIZES if square is None else square
    wanted = (size, size if square else round(size / LONG_EDGE_ASPECT))
    if half_h > PORTRAIT * half_w:
        wanted = (wanted[1], wanted[0])
    scale = max(wanted[0] / (2 * half_w), wanted[1] / (2 * half_h)) + 1e-8
    w, h = int(2 * half_w * scale), int(2 * half_h * scale)
    left, top = round((w - wanted[0]) * 0.5), round((h - wanted[1]) * 0.5)
    window = (cx - half_w, cy - half_h, cx + half_w, cy + half_h)
    return CropPlan((w, h), (left, top, left + wanted[0], top + wanted[1]), window)


def cover_plan(width: int, height: int, target: tuple[int, int]) -> CropPlan:
    """Plan a resize that covers a target (width, height), and the cut of its middle."""
    scale = max(target[0] / width, target[1] / height)
    w, h = max(target[0], round(width * scale)), max(target[1], round(height * scale))
    left, top = (w - target[0]) // 2, (h - target[1]) // 2
    return CropPlan((w, h), (left, top, left + target[0], top + target[1]))


def stretch_plan(width: int, height: int, size: int, multiple: int) -> CropPlan:
    """Plan a resize of the whole image: the long edge becomes `size`, both sides the nearest multiples, no cut."""
    scale = size / max(width, height)
    w, h = (max(1, round(side * scale / multiple)) * multiple for side in (width, height))
    return CropPlan((w, h), (0, 0, w, h))


def prepare(image: NDArray[np.uint8], plan: CropPlan, resampling: Image.Resampling | None = None) -> PreparedImage:
    """Resize and crop [H, W, 3] uint8 RGB; by default Lanczos where the image shrinks, bicubic where it grows."""
    x0, y0, x1, y1 = plan.window or (0, 0, image.shape[1], image.shape[0])
    width, height = x1 - x0, y1 - y0
    shrinks = max(width, height) > max(plan.resized)
    method = resampling or (Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC)
    seen = Image.fromarray(np.ascontiguousarray(image[y0:y1, x0:x1]))
    cut = seen.resize(plan.resized, method).crop(plan.box)
    sx, sy = width / plan.resized[0], height / plan.resized[1]
    left, top = plan.box[:2]
    grid_to_image = torch.tensor(
        [[sx, 0, x0 + sx * (left + 0.5) - 0.5], [0, sy, y0 + sy * (top + 0.5) - 0.5], [0, 0, 1]],
        dtype=torch.float32,
    )
    return PreparedImage(np.array(cut), grid_to_image)
