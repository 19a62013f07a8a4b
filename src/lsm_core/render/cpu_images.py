"""Blending all tiles of an image on the processor's threads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lsm_core.render.cpu_binning import bin_rows
from lsm_core.render.cpu_blend import PLANES, blend_row
from lsm_core.render.cpu_records import TILE, FloatArray, IntArray, Records, tile_counts
from lsm_core.render.cpu_threads import run_all
from lsm_core.types import Camera


@dataclass(frozen=True, eq=False)
class TileImage:
    """What blending gives, on whole tiles: H' and W' are the image's size rounded up.

    Attributes:
        planes: [PLANES, H', W'] float32, see `cpu_blend`.
        strongest: [H', W'] int32.
        features: [H', W', D] float32.
    """

    planes: FloatArray
    strongest: IntArray
    features: FloatArray


def row_lists(records: Records, camera: Camera) -> list[IntArray]:
    """Return the records of each row of tiles, front to back."""
    rows, _ = tile_counts(camera)
    starts, members = bin_rows(records.order, records.rows, rows)
    return [members[starts[row] : starts[row + 1]] for row in range(rows)]


def blend(records: Records, features: FloatArray, camera: Camera) -> TileImage:
    """Blend all tiles.

    Args:
        records: of the view.
        features: [N, D] float32 of all Gaussians; D = 0 for none.
        camera: for its size.
    """
    rows, columns = tile_counts(camera)
    height, width = rows * TILE, columns * TILE
    image = TileImage(
        np.empty((PLANES, height, width), np.float32),
        np.empty((height, width), np.int32),
        np.zeros((height, width, features.shape[1]), np.float32),
    )
    lists = row_lists(records, camera)

    def work(row: int) -> None:
        blend_row(
            row,
            lists[row],
            records.values,
            records.source,
            features,
            image.planes,
            image.strongest,
            image.features,
        )

    run_all(work, rows)
    return image


def cropped(array: FloatArray | IntArray, camera: Camera, rows_first: bool = True) -> Tensor:
    """Return [H, W, ...], or [..., H, W] if rows are not first, of an array on whole tiles; contiguous."""
    part = array[: camera.height, : camera.width] if rows_first else array[..., : camera.height, : camera.width]
    return torch.from_numpy(np.ascontiguousarray(part))


def padded(gradient: Tensor, camera: Camera, rows_first: bool = True) -> FloatArray:
    """Return a contiguous float32 array on whole tiles, 0 outside the image: the reverse of `cropped`."""
    rows, columns = tile_counts(camera)
    down, right = rows * TILE - camera.height, columns * TILE - camera.width
    sides = ((0, down), (0, right))
    free = ((0, 0),) * (gradient.ndim - 2)
    array = gradient.detach().cpu().numpy()
    return np.ascontiguousarray(np.pad(array, sides + free if rows_first else free + sides), dtype=np.float32)
