"""Random scenes for the rasterizer tests."""

from __future__ import annotations

import torch

from lsm_core.types import Camera, Gaussians


def random_scene(seed: int, count: int = 400, degree: int = 1, feature_dim: int = 5) -> Gaussians:
    """Return Gaussians in front of a camera at the origin that looks along z, some behind and beside it."""
    g = torch.Generator().manual_seed(seed)
    means = torch.randn(count, 3, generator=g) * torch.tensor([1.5, 1.0, 1.5]) + torch.tensor([0.0, 0.0, 3.0])
    return Gaussians(
        means=means,
        quats=torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=-1),
        scales=torch.exp(torch.randn(count, 3, generator=g) * 0.7 - 2.5),
        opacities=torch.rand(count, generator=g),
        sh=torch.randn(count, (degree + 1) ** 2, 3, generator=g) * 0.5,
        features=torch.randn(count, feature_dim, generator=g),
    )


def camera(width: int = 70, height: int = 50, focal: float = 60.0, **options: object) -> Camera:
    """Return a camera at the origin whose principal point is off centre and whose size is no tile multiple."""
    K = torch.tensor([[focal, 0.0, 0.45 * width], [0.0, 1.1 * focal, 0.55 * height], [0.0, 0.0, 1.0]])
    return Camera(K, width, height, **options)  # type: ignore[arg-type]
