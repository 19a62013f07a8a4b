"""Draw what a network predicted into target cameras, with gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.render.choice import choose_rasterizer, get_rasterizer
from lsm_core.render.finite import finite_gaussians
from lsm_core.types import Camera, Gaussians


@dataclass(frozen=True)
class DrawingOptions:
    """How target views are drawn while training.

    Attributes:
        near: Gaussians nearer than this are left out, in the unit of the cameras.
        centred: the principal point is taken to be the middle of the image, as by the released rasterizers, which
            know fields of view only; else that of the camera is used.
    """

    near: float = 0.02
    centred: bool = True


@dataclass(frozen=True, eq=False)
class DrawnViews:
    """V views as drawn: rgb [V, 3, H, W] on black, depth [V, H, W], features [V, D, H, W] or None."""

    rgb: Tensor
    depth: Tensor
    features: Tensor | None


def draw_views(
    gaussians: Gaussians,
    K: Tensor,
    T_scene_cam: Tensor,
    size: tuple[int, int],
    options: DrawingOptions,
    features: bool = False,
) -> DrawnViews:
    """Draw one scene.

    Args:
        gaussians: of the scene.
        K: [V, 3, 3] pixels.
        T_scene_cam: [V, 4, 4].
        size: (height, width).
        options: how.
        features: also draw the features.
    """
    height, width = size
    if options.centred:
        K = K.clone()
        K[:, 0, 2], K[:, 1, 2] = (width - 1) / 2, (height - 1) / 2
    cameras = [Camera(k, width, height, T, options.near) for k, T in zip(K, T_scene_cam, strict=True)]
    kept, _ = finite_gaussians(gaussians, features)
    draw = get_rasterizer(choose_rasterizer(kept))
    results = draw(kept, cameras, torch.zeros(3).to(kept.means), features, picks=False)
    drawn = [r.features.permute(2, 0, 1) for r in results if r.features is not None]
    return DrawnViews(
        torch.stack([r.rgb.permute(2, 0, 1) for r in results]),
        torch.stack([r.depth for r in results]),
        torch.stack(drawn) if drawn else None,
    )
