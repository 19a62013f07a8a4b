"""What the compiled kernels know of a Gaussian on the image: one cache line each, and the tiles it touches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.render.projection import Splats
from lsm_core.types import Camera

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]
Float32 = Any  # a float32 number in compiled code, whose arithmetic NumPy's stubs do not describe

TILE: Final = 16  # pixels; a row of a tile is one vector of 16 lanes

# Columns of a record.
U, V, WXX, WXY, WYY, OPACITY, DEPTH, RED, GREEN, BLUE, REACH_X, REACH_Y = range(12)
WIDTH: Final = 16


@dataclass(frozen=True, eq=False)
class Records:
    """The M Gaussians of a view that can reach a pixel.

    Attributes:
        values: [M, 16] float32; columns: see the constants above, 12 to 15 are unused.
        source: [M] int32, which of the scene's Gaussians.
        order: [M] int32, front to back.
    """

    values: FloatArray
    source: IntArray
    order: IntArray


def records_of(splats: Splats) -> Records:
    """Return the records of splats that are sorted already."""
    count = len(splats.index)
    columns = [splats.means, splats.whitening, splats.opacities[:, None], splats.depths[:, None], splats.rgb]
    values = np.zeros((count, WIDTH), np.float32)
    values[:, : REACH_Y + 1] = torch.cat([*columns, splats.reach], 1).detach().cpu().numpy()
    source = splats.index.cpu().numpy().astype(np.int32)
    return Records(values, source, np.arange(count, dtype=np.int32))


def tile_counts(camera: Camera) -> tuple[int, int]:
    """Return the numbers of tile rows and tile columns of an image."""
    return -(-camera.height // TILE), -(-camera.width // TILE)
