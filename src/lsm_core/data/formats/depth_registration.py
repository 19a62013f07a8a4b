"""Moving a depth image into the camera of the picture it goes with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def register_depth(
    depth: NDArray[np.float32],
    K_depth: NDArray[np.float64],
    T_colour_depth: NDArray[np.float64],
    K_colour: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.float32]:
    """Project every depth pixel into the colour camera; of several on one pixel the nearest stays.

    Args:
        depth: [h, w] metres along the depth camera's axis, 0 = none.
        K_depth, K_colour: [3, 3] pixels.
        T_colour_depth: [4, 4] depth camera to colour camera.
        size: (height, width) of the picture.

    Returns:
        [height, width] metres along the colour camera's axis, 0 where no depth pixel falls (so with holes where the
        picture is finer than the depth image).
    """
    rows, columns = np.nonzero(depth > 0)
    z = depth[rows, columns].astype(np.float64)
    points = np.linalg.inv(K_depth) @ np.stack([columns * z, rows * z, z])
    moved = T_colour_depth[:3, :3] @ points + T_colour_depth[:3, 3:]
    in_front = moved[2] > 1e-3
    moved = moved[:, in_front]
    projected = K_colour @ moved
    x, y = np.rint(projected[:2] / projected[2]).astype(np.int64)
    inside = (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    nearest = np.full(size, np.inf, np.float64)
    np.minimum.at(nearest, (y[inside], x[inside]), moved[2, inside])
    return np.where(np.isfinite(nearest), nearest, 0).astype(np.float32)
