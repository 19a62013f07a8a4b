"""Poses that a caller gives: checked, and brought to camera 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.geometry import invert

RIGID = 1e-3  # how far a rotation times its transpose may be from the identity


def poses_in_first(poses: Sequence[Tensor | NDArray[Any]], count: int) -> Tensor:
    """Return T_cam0_cam_i [count, 4, 4] float64 on the CPU, with exact rotations; the first is the identity.

    Args:
        poses: camera to any frame they share, each 4x4; in camera 0's frame they stay as they are.
        count: of the views.

    Raises:
        InputError: another number, or one is not a finite rigid motion.
    """
    if len(poses) != count:
        raise InputError(f"{len(poses)} poses for {count} views.", "Pass one T_cam0_cam_i per view.")
    rigid = torch.stack([_rigid(pose, index) for index, pose in enumerate(poses)])
    out = invert(rigid[0]) @ rigid
    out[0] = torch.eye(4, dtype=torch.float64)
    return out


def _rigid(pose: Tensor | NDArray[Any], index: int) -> Tensor:
    """Return a pose in float64 with its rotation made exact."""
    given = pose.detach().cpu() if isinstance(pose, Tensor) else pose
    try:
        T = torch.as_tensor(np.asarray(given, dtype=np.float64)).clone()
    except (TypeError, ValueError):
        T = torch.empty(0)
    whole = T.shape == (4, 4) and bool(torch.isfinite(T).all())
    if whole:
        R = T[:3, :3]
        off = (R @ R.T - torch.eye(3, dtype=T.dtype)).abs().max()
        whole = float(off) < RIGID and float(torch.linalg.det(R)) > 0
    if not whole or not torch.allclose(T[3], torch.tensor([0.0, 0, 0, 1], dtype=torch.float64), atol=1e-6):
        raise InputError(
            f"The pose of view {index} is no finite 4x4 rigid motion.",
            "Pass T_cam0_cam_i: camera to camera 0, a rotation and a translation without scale.",
        )
    u, _, v = torch.linalg.svd(T[:3, :3])
    T[:3, :3] = u @ v
    return T
