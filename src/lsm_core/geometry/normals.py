"""Normals of the surface that a map of points shows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def surface_normals(points: Tensor) -> Tensor:
    """Return unit normals [h, w, 3] of a pointmap [h, w, 3] by central differences (one-sided at borders).

    They point away from the camera where x is right, y down and z forward.
    """
    padded = F.pad(points.permute(2, 0, 1)[None], (1, 1, 1, 1), mode="replicate")[0].permute(1, 2, 0)
    along_x = padded[1:-1, 2:] - padded[1:-1, :-2]
    along_y = padded[2:, 1:-1] - padded[:-2, 1:-1]
    return F.normalize(torch.linalg.cross(along_x, along_y, dim=-1), dim=-1, eps=1e-12)
