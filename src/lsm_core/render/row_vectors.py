"""Camera matrices in the convention of the 3DGS CUDA rasterizers: transposed, for row vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NEAR, FAR = 0.01, 100.0


@dataclass(frozen=True, eq=False)
class RowVectorCamera:
    """View and full projection [4, 4], transposed; camera position [3]; field of view [2] (x, y), radians."""

    view: Tensor
    full_projection: Tensor
    position: Tensor
    fov: Tensor


def row_vector_camera(T_scene_cam: Tensor, K: Tensor, size: tuple[int, int]) -> RowVectorCamera:
    """Return the matrices of a camera; the principal point is not used.

    Args:
        T_scene_cam: [4, 4].
        K: [3, 3] intrinsics, pixels.
        size: (height, width).
    """
    height, width = size
    fov = 2 * torch.atan(torch.stack((width / (2 * K[0, 0]), height / (2 * K[1, 1]))))
    projection = torch.zeros(4, 4, dtype=T_scene_cam.dtype)
    projection[0, 0], projection[1, 1] = 1 / torch.tan(fov / 2)
    projection[2, 2], projection[2, 3] = FAR / (FAR - NEAR), -FAR * NEAR / (FAR - NEAR)
    projection[3, 2] = 1
    view = torch.linalg.inv(T_scene_cam)
    return RowVectorCamera(view.T, (projection @ view).T, T_scene_cam[:3, 3], fov)
