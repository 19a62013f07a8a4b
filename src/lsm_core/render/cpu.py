"""The fast rasterizer for processors: compiled tiles (numba), front to back, ending early, float32.

Twin of `reference.py`, which the tests compare it with (1e-4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lsm_core.render.base import Culling
from lsm_core.render.cpu_blend import MEDIAN_DEPTH, RGBZ, TRANSMITTANCE
from lsm_core.render.cpu_cache import discard_stale_kernels
from lsm_core.render.cpu_gradient import BlendSplats
from lsm_core.render.cpu_images import blend, cropped
from lsm_core.render.cpu_projection import project_records
from lsm_core.render.projection import project
from lsm_core.types import Camera, Gaussians, RenderResult


def rasterize_cpu(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    background: Tensor,
    features: bool = False,
    picks: bool = True,
    culling: Culling = "exact",
) -> list[RenderResult]:
    """Draw Gaussians; see `lsm_core.render.base.Rasterizer`.

    Gradients reach the same attributes as with `reference`. Where none is wanted, the projection is compiled, too.
    """
    discard_stale_kernels()
    if culling == "exact" and not _wants_gradient(gaussians, cameras, features):
        return [_draw(gaussians, camera, background, features, picks) for camera in cameras]
    return [_draw_with_torch(gaussians, camera, background, features, picks, culling) for camera in cameras]


def _wants_gradient(gaussians: Gaussians, cameras: Sequence[Camera], features: bool) -> bool:
    """Say whether anything that is drawn requires a gradient."""
    parts = [gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh]
    parts += [camera.T_scene_cam for camera in cameras]
    if features and gaussians.features is not None:
        parts.append(gaussians.features)
    return torch.is_grad_enabled() and any(part.requires_grad for part in parts)


def _draw(gaussians: Gaussians, camera: Camera, background: Tensor, features: bool, picks: bool) -> RenderResult:
    """Draw one camera without gradients."""
    channels = np.empty((len(gaussians), 0), np.float32)
    if features and gaussians.features is not None:
        channels = np.ascontiguousarray(gaussians.features.detach().cpu().numpy(), dtype=np.float32)
    image = blend(project_records(gaussians, camera), channels, camera)
    planes = cropped(image.planes, camera, rows_first=False).to(gaussians.means)
    return _result(
        planes[RGBZ],
        planes[TRANSMITTANCE],
        background,
        cropped(image.features, camera).to(gaussians.means) if features else None,
        planes[MEDIAN_DEPTH] if picks else None,
        cropped(image.strongest, camera).to(gaussians.means.device) if picks else None,
    )


def _draw_with_torch(
    gaussians: Gaussians, camera: Camera, background: Tensor, features: bool, picks: bool, culling: Culling
) -> RenderResult:
    """Draw one camera with torch's projection, through which gradients can pass."""
    splats = project(gaussians, camera, culling)
    channels = gaussians.features if features else None
    if channels is None:
        channels = gaussians.means.new_empty(len(gaussians), 0)
    parts = (splats.means, splats.whitening, splats.opacities, splats.depths, splats.rgb)
    rgbz, left, found, median, strongest = BlendSplats.apply(camera, splats, channels, *parts)
    return _result(
        rgbz,
        left,
        background,
        found if features else None,
        median if picks else None,
        strongest if picks else None,
    )


def _result(
    rgbz: Tensor,
    left: Tensor,
    background: Tensor,
    features: Tensor | None,
    median: Tensor | None,
    strongest: Tensor | None,
) -> RenderResult:
    """Put the background behind the colours [4, H, W] and divide the depth by what is opaque."""
    alpha = 1 - left
    rgb = rgbz[:3].permute(1, 2, 0).contiguous() + left[..., None] * background.to(left)
    depth = torch.where(alpha > 0, rgbz[3] / alpha.clamp(min=1e-10), 0.0)
    return RenderResult(rgb, depth, alpha, features, median, strongest)
