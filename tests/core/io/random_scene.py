"""Seeded Gaussians of all shapes, for tests of file formats."""

from __future__ import annotations

import torch

from lsm_core.types import Gaussians


def random_scene(count: int, degree: int = 0, features: int = 0, seed: int = 0, size: float = 3.0) -> Gaussians:
    """Return Gaussians around the origin; scales span e^-6 to e^0 of the size, SH lie in [-0.95, 0.95]."""
    g = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=size * torch.randn(count, 3, generator=g),
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=-1),
        scales=size * torch.exp(-6 * torch.rand(count, 3, generator=g)),
        opacities=0.98 * torch.rand(count, generator=g) + 0.01,
        sh=1.9 * torch.rand(count, (degree + 1) ** 2, 3, generator=g) - 0.95,
        features=torch.randn(count, features, generator=g) if features else None,
    )


def axes_apart_deg(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the angle [N] between the axes of Gaussians: half turns around an axis of its own change none."""
    w, x, y, z = b.unbind(-1)
    same = [(w, x, y, z), (-x, w, z, -y), (-y, -z, w, x), (-z, y, -x, w)]  # b, b i, b j, b k
    return torch.stack([turn_apart_deg(a, torch.stack(q, -1)) for q in same]).amin(0)


def turn_apart_deg(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the angle [N] between rotations given as quaternions wxyz [N, 4], degrees."""
    p, q = (torch.nn.functional.normalize(x.double(), dim=-1) for x in (a, b))
    apart = torch.minimum((p - q).norm(dim=1), (p + q).norm(dim=1))
    return torch.rad2deg(4 * torch.asin((apart / 2).clamp(max=1)))
