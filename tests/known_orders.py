"""What a perfect network says of two views in both orders, from known cameras."""

from __future__ import annotations

import math

import torch

from lsm_core.geometry.pair_cameras import OrderedPrediction

H, W, FOCAL = 48, 64, 70.0


def pose(x: float, turn_deg: float) -> torch.Tensor:
    """Return T_0_1 of a camera moved to the right and turned about the vertical axis."""
    a = math.radians(turn_deg)
    T = torch.eye(4)
    T[:3, :3] = torch.tensor([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]])
    T[0, 3] = x
    return T


def seen_points(seed: int, focal: float = FOCAL) -> torch.Tensor:
    """Return points [H, W, 3] in the camera that sees them, at random depths."""
    y, x = torch.meshgrid(torch.arange(float(H)), torch.arange(float(W)), indexing="ij")
    z = 2 + torch.rand(H, W, generator=torch.Generator().manual_seed(seed))
    return torch.stack(((x - W / 2) / focal * z, (y - H / 2) / focal * z, z), -1)


def moved(points: torch.Tensor, T: torch.Tensor) -> torch.Tensor:
    """Return points [..., 3] moved by T."""
    return points @ T[:3, :3].T + T[:3, 3]


def orders(
    T_0_1: torch.Tensor, sure: tuple[float, float] = (5.0, 4.0), unit: float = 1.0
) -> list[OrderedPrediction]:
    """Return both orders; `sure` are their confidences, the second is in a unit of its own."""
    views = [seen_points(0), seen_points(1)]
    conf = [torch.full((H, W), c) for c in sure]
    return [
        OrderedPrediction(views[0], conf[0], moved(views[1], T_0_1), conf[0]),
        OrderedPrediction(unit * views[1], conf[1], unit * moved(views[0], torch.linalg.inv(T_0_1)), conf[1]),
    ]


def noise(seed: int = 2) -> torch.Tensor:
    """Return points [H, W, 3] of no scene."""
    return torch.rand(H, W, 3, generator=torch.Generator().manual_seed(seed)) * 10 - 5
