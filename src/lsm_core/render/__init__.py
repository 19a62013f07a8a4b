"""Drawing 3D Gaussians: one protocol, a readable reference and a fast CPU rasterizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from lsm_core.errors import InputError, UnsupportedError
from lsm_core.render.base import Rasterizer
from lsm_core.render.reference import rasterize_reference
from lsm_core.types import Camera, Gaussians, RenderResult

__all__ = ["Rasterizer", "choose_rasterizer", "rasterize_reference", "render"]


def choose_rasterizer(gaussians: Gaussians) -> Rasterizer:
    """Return the fastest rasterizer that can do it: the reference where gradients are wanted, else the CPU's."""
    tensors = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh)
    wants_gradient = any(t.requires_grad for t in tensors) or (
        gaussians.features is not None and gaussians.features.requires_grad
    )
    if torch.is_grad_enabled() and wants_gradient:
        return rasterize_reference
    from lsm_core.render.cpu import rasterize_cpu  # numba is imported when something is first drawn

    return rasterize_cpu


def render(
    gaussians: Gaussians,
    camera: Camera,
    features: bool = False,
    background: Sequence[float] | Tensor = (0.0, 0.0, 0.0),
    rasterizer: Rasterizer | None = None,
) -> RenderResult:
    """Draw Gaussians into a camera.

    Args:
        gaussians: in the frame that `camera.T_scene_cam` maps into.
        camera: what to see.
        features: also blend the language features.
        background: RGB in [0, 1], seen where transmittance is left.
        rasterizer: which one; None chooses by device and gradients.

    Returns:
        rgb clamped to [0, 1], expected depth (0 where nothing is hit), alpha and, if asked for, features.

    Raises:
        InputError: the background is not three finite numbers.
        UnsupportedError: features asked for, and the Gaussians have none.
    """
    colour = torch.as_tensor(background, dtype=torch.float32, device=gaussians.means.device)
    if colour.shape != (3,) or not bool(torch.isfinite(colour).all()):
        raise InputError("The background must be three finite numbers.", "Pass RGB in [0, 1], such as (0, 0, 0).")
    if features and gaussians.features is None:
        raise UnsupportedError(
            "These Gaussians carry no language features.",
            "Render without features, or use a backend that has them (lsm-tiny, lsm).",
        )
    draw = rasterizer or choose_rasterizer(gaussians)
    result = draw(gaussians, camera, colour, features)
    return replace(result, rgb=result.rgb.clamp(max=1.0))
