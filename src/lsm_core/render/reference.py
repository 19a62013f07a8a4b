"""The readable rasterizer: plain torch, differentiable, no tiles. The others are tested against it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from lsm_core.render.base import ALPHA_MAX, ALPHA_MIN, MEDIAN_TRANSMITTANCE, TRANSMITTANCE_MIN, Culling
from lsm_core.render.projection import Splats, project
from lsm_core.types import Camera, Gaussians, RenderResult

CHUNK = 4_000_000  # pixel-Gaussian pairs held at once


def rasterize_reference(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    background: Tensor,
    features: bool = False,
    picks: bool = True,
    culling: Culling = "exact",
) -> list[RenderResult]:
    """Draw Gaussians; see `lsm_core.render.base.Rasterizer`.

    Every pixel looks at every Gaussian: memory and time grow with their product. Keeps the dtype of the means, so
    float64 is possible. Gradients reach every attribute, and the camera where `T_scene_cam` requires them.
    """
    return [_rasterize(gaussians, camera, background, features, picks, culling) for camera in cameras]


def _rasterize(
    gaussians: Gaussians, camera: Camera, background: Tensor, features: bool, picks: bool, culling: Culling
) -> RenderResult:
    """Draw one camera."""
    splats = project(gaussians, camera, culling)
    values = blended_values(splats, gaussians.features if features else None)
    pixels = torch.arange(camera.height * camera.width, device=values.device)
    parts = []
    for chunk in pixels.split(max(1, CHUNK // max(1, len(splats.index)))):
        x, y = (chunk % camera.width).to(values), (chunk // camera.width).to(values)
        args = (splats, values, x, y)
        # With gradients, weights are computed again on the way back instead of kept for every chunk.
        parts.append(
            checkpoint(blend_pixels, *args, use_reentrant=False) if values.requires_grad else blend_pixels(*args)
        )
    blended, median, best = (
        torch.cat(part).unflatten(0, (camera.height, camera.width)) for part in zip(*parts, strict=True)
    )
    alpha = blended[..., 4]
    return RenderResult(
        rgb=blended[..., :3] + (1 - alpha)[..., None] * background.to(alpha),
        depth=torch.where(alpha > 0, blended[..., 3] / alpha.clamp(min=1e-10), 0.0),
        alpha=alpha,
        features=blended[..., 5:] if features else None,
        median_depth=median if picks else None,
        strongest=best if picks else None,
    )


def blended_values(splats: Splats, features: Tensor | None) -> Tensor:
    """Return [M, 5 + D]: what is summed with the weights, which is rgb, z, 1 and features [N, D]."""
    parts = [splats.rgb, splats.depths[:, None], torch.ones_like(splats.depths)[:, None]]
    if features is not None:
        parts.append(features[splats.index])
    return torch.cat(parts, 1)


def blend_pixels(splats: Splats, values: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Blend P pixels at x, y [P]; returns values [P, C], median depth [P] and the strongest Gaussian [P] int32."""
    weights, after = blend_weights(splats, x, y)
    blended = weights @ values
    if not len(splats.index):
        return blended, torch.zeros_like(x), torch.full_like(x, -1, dtype=torch.int32)
    with torch.no_grad():
        half = after <= MEDIAN_TRANSMITTANCE
        median = torch.where(half.any(1), splats.depths[half.int().argmax(1)], 0.0)
        largest, place = weights.max(1)
        place = (weights == largest[:, None]).int().argmax(1)  # the front one of equals
        best = torch.where(largest > 0, splats.index[place], -1).int()
    return blended, median, best


def blend_weights(splats: Splats, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return weights T_i alpha_i [P, M] of M splats at P pixels, and the transmittance [P, M] behind each.

    A pixel's transmittance stays where it ended: at the Gaussian that would have taken it below the minimum.
    """
    dx, dy = x[:, None] - splats.means[:, 0], y[:, None] - splats.means[:, 1]
    across = splats.whitening[:, 0] * dx + splats.whitening[:, 1] * dy
    along = splats.whitening[:, 2] * dy
    alpha = (splats.opacities * torch.exp(-0.5 * (across * across + along * along))).clamp(max=ALPHA_MAX)
    seen = alpha >= ALPHA_MIN
    if splats.boxed:
        left, top, right, bottom = splats.box.unbind(1)
        x, y = x[:, None], y[:, None]
        seen = seen & (x >= left) & (x <= right) & (y >= top) & (y <= bottom)
    alpha = torch.where(seen, alpha, 0.0)
    after = torch.cumprod(1 - alpha, 1)  # transmittance behind each splat
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], 1) if alpha.shape[1] else after
    return torch.where(after >= TRANSMITTANCE_MIN, before * alpha, 0.0), after
