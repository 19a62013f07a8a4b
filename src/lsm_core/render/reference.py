"""The readable rasterizer: plain torch, differentiable, one tile at a time. The others are tested against it."""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.render.base import ALPHA_MAX, ALPHA_MIN, TILE, TRANSMITTANCE_MIN
from lsm_core.render.projection import Splats, project
from lsm_core.types import Camera, Gaussians, RenderResult


def rasterize_reference(
    gaussians: Gaussians, camera: Camera, background: Tensor, features: bool = False
) -> RenderResult:
    """Draw Gaussians; see `lsm_core.render.base.Rasterizer`. Gradients reach every attribute."""
    splats = project(gaussians, camera)
    channels = [splats.rgb, splats.depths[:, None]]
    if features and gaussians.features is not None:
        channels.append(gaussians.features[splats.index])
    values = torch.cat(channels, 1)
    rows = []
    for y0 in range(0, camera.height, TILE):
        tiles = [_blend_tile(splats, values, x0, y0, camera) for x0 in range(0, camera.width, TILE)]
        rows.append(torch.cat(tiles, 1))
    blended = torch.cat(rows, 0)  # [H, W, channels + 1], the last one is alpha
    alpha = blended[..., -1]
    depth = torch.where(alpha > 0, blended[..., 3] / alpha.clamp(min=1e-10), 0.0)
    rgb = blended[..., :3] + (1 - alpha)[..., None] * background.to(alpha)
    return RenderResult(rgb, depth, alpha, blended[..., 4:-1] if len(channels) == 3 else None)


def _blend_tile(splats: Splats, values: Tensor, x0: int, y0: int, camera: Camera) -> Tensor:
    """Return [h, w, C + 1]: the blended values and the accumulated alpha of one tile."""
    width, height = min(TILE, camera.width - x0), min(TILE, camera.height - y0)
    tx, ty = x0 // TILE, y0 // TILE
    t = splats.tiles
    here = torch.nonzero((t[:, 0] <= tx) & (tx < t[:, 2]) & (t[:, 1] <= ty) & (ty < t[:, 3])).squeeze(1)
    grid_y, grid_x = torch.meshgrid(torch.arange(y0, y0 + height), torch.arange(x0, x0 + width), indexing="ij")
    pixels = torch.stack([grid_x, grid_y], -1).reshape(-1, 1, 2).to(values)  # [P, 1, 2]
    weights = _blend_weights(splats.means[here], splats.conics[here], splats.opacities[here], pixels)
    blended = torch.cat([weights @ values[here], weights.sum(1, keepdim=True)], 1)
    return blended.reshape(height, width, -1)


def _blend_weights(means: Tensor, conics: Tensor, opacities: Tensor, pixels: Tensor) -> Tensor:
    """Return [P, M] weights T_i alpha_i of M splats, front to back, at pixels [P, 1, 2]."""
    dx, dy = (pixels - means).unbind(-1)
    power = -0.5 * (conics[:, 0] * dx * dx + conics[:, 2] * dy * dy) - conics[:, 1] * dx * dy
    alpha = (opacities * torch.exp(power)).clamp(max=ALPHA_MAX)
    alpha = torch.where((power <= 0) & (alpha >= ALPHA_MIN), alpha, 0.0)
    after = torch.cumprod(1 - alpha, 1)  # transmittance behind each splat
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], 1) if alpha.shape[1] else after
    return torch.where(after >= TRANSMITTANCE_MIN, before * alpha, 0.0)
