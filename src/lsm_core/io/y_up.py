"""The frame of glTF and SPZ files: x right, y up, z backward, where this library has y down and z forward."""

from __future__ import annotations

import torch

from lsm_core.types import Gaussians, Sim3


def turn_half_around_x(gaussians: Gaussians) -> Gaussians:
    """Turn a scene by 180 degrees around x: from either frame into the other."""
    rotation = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))
    return gaussians.transform(Sim3(1.0, rotation, torch.zeros(3, dtype=torch.float64)))
