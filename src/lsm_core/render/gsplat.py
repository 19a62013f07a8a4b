"""The rasterizer for CUDA: gsplat (Apache-2.0), one call for colours, features and depth of all cameras.

Extra `[cuda]`. gsplat keeps alpha at most 0.999 where the others stop at 0.99: a Gaussian of opacity above 0.99 is
up to 0.009 more opaque in its middle. Everything else follows `lsm_core.render.base`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lsm_core.errors import DependencyError
from lsm_core.render.base import DILATION_PX2, Rasterizer
from lsm_core.render.projection import view_colors
from lsm_core.render.tile_picks import tile_picks
from lsm_core.types import Camera, Gaussians, RenderResult

Rasterization = Callable[..., tuple[Tensor, Tensor, Mapping[str, Any]]]
FAR = 1e10  # no far plane
TILE = 16


def gsplat_rasterizer() -> Rasterizer:
    """Return the rasterizer.

    Raises:
        DependencyError: gsplat is not installed.
    """
    try:
        from gsplat import rasterization
    except ImportError as error:
        raise DependencyError(
            "The CUDA rasterizer needs the package gsplat.", "Install it with `pip install 'lsm_core[cuda]'`."
        ) from error
    return partial(rasterize_gsplat, rasterization)


def rasterize_gsplat(
    rasterization: Rasterization,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    background: Tensor,
    features: bool = False,
    picks: bool = True,
) -> list[RenderResult]:
    """Draw Gaussians with `gsplat.rasterization`; see `lsm_core.render.base.Rasterizer`.

    Cameras of one size and near plane share a call.
    """
    groups: dict[tuple[int, int, float], list[int]] = {}
    for place, camera in enumerate(cameras):
        groups.setdefault((camera.width, camera.height, camera.near), []).append(place)
    results: dict[int, RenderResult] = {}
    for places in groups.values():
        drawn = _draw_group(rasterization, gaussians, [cameras[p] for p in places], background, features, picks)
        results.update(zip(places, drawn, strict=True))
    return [results[place] for place in range(len(cameras))]


def call_arguments(
    gaussians: Gaussians, cameras: Sequence[Camera], background: Tensor, features: bool
) -> dict[str, Any]:
    """Return the arguments of `gsplat.rasterization` for C cameras of one size and near plane."""
    means = gaussians.means
    colors = torch.stack([view_colors(gaussians, camera) for camera in cameras])  # [C, N, 3]
    if features and gaussians.features is not None:
        colors = torch.cat([colors, gaussians.features.expand(len(cameras), -1, -1)], -1)
    backgrounds = colors.new_zeros(len(cameras), colors.shape[-1])
    backgrounds[:, :3] = background
    to_corner = means.new_tensor([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])  # there (0, 0) is a corner of the image
    first = cameras[0]
    return {
        "means": means,
        "quats": gaussians.quats,
        "scales": gaussians.scales,
        "opacities": gaussians.opacities,
        "colors": colors,
        "viewmats": torch.stack([camera.T_cam_scene.to(means) for camera in cameras]),
        "Ks": torch.stack([camera.K.to(means) + to_corner for camera in cameras]),
        "width": first.width,
        "height": first.height,
        # A Gaussian on the near plane is left out here and kept there.
        "near_plane": float(np.nextafter(np.float32(max(first.near, 0.0)), np.float32(math.inf))),
        "far_plane": FAR,
        "eps2d": DILATION_PX2,
        "sh_degree": None,
        "packed": False,
        "tile_size": TILE,
        "backgrounds": backgrounds,
        "render_mode": "RGB+ED",
        "rasterize_mode": "classic",
    }


def _draw_group(
    rasterization: Rasterization,
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    background: Tensor,
    features: bool,
    picks: bool,
) -> list[RenderResult]:
    """Draw cameras of one size and near plane."""
    images, alphas, meta = rasterization(**call_arguments(gaussians, cameras, background, features))
    found = tile_picks(meta) if picks else None
    results = []
    for c in range(len(cameras)):
        image, alpha = images[c], alphas[c, ..., 0]
        results.append(
            RenderResult(
                rgb=image[..., :3],
                depth=torch.where(alpha > 0, image[..., -1], 0.0),
                alpha=alpha,
                features=image[..., 3:-1] if features else None,
                median_depth=None if found is None else found[0][c],
                strongest=None if found is None else found[1][c],
            )
        )
    return results
