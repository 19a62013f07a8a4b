"""`lsm_core.render`: the one call that draws Gaussians into one camera or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import torch
from torch import Tensor

from lsm_core.errors import InputError, UnsupportedError
from lsm_core.render.choice import RasterizerName, choose_rasterizer, get_rasterizer
from lsm_core.render.finite import finite_gaussians
from lsm_core.types import Camera, Gaussians, RenderResult

Background = Sequence[float] | Tensor


@overload
def render(
    gaussians: Gaussians,
    camera: Camera,
    features: bool = ...,
    background: Background = ...,
    rasterizer: RasterizerName | None = ...,
    picks: bool = ...,
) -> RenderResult: ...


@overload
def render(
    gaussians: Gaussians,
    camera: Sequence[Camera],
    features: bool = ...,
    background: Background = ...,
    rasterizer: RasterizerName | None = ...,
    picks: bool = ...,
) -> list[RenderResult]: ...


def render(
    gaussians: Gaussians,
    camera: Camera | Sequence[Camera],
    features: bool = False,
    background: Background = (0.0, 0.0, 0.0),
    rasterizer: RasterizerName | None = None,
    picks: bool = True,
) -> RenderResult | list[RenderResult]:
    """Draw Gaussians into a camera, or into several.

    Gradients reach means, scales, quats, opacities, sh, features and `camera.T_scene_cam` where these require them.

    Args:
        gaussians: in the frame that `camera.T_scene_cam` maps into; SH of degree 0 to 3 (degree 4 has to be
            cut to 3 before). Those that are not finite are left out, with a warning that counts them.
        camera: what to see, or a sequence of it; sizes may differ. `near` clips, K's principal point is honoured.
        features: also blend the D feature channels.
        background: RGB in [0, 1], seen where transmittance is left.
        rasterizer: "reference", "cpu" or "gsplat"; None chooses by the device the Gaussians are on.
        picks: also give `median_depth` and `strongest` (only with gsplat does leaving them out save much).

    Returns:
        A result per camera, one alone for one camera. rgb is clamped to [0, 1]; `strongest` counts in the Gaussians
        as given.

    Raises:
        InputError: the background is not three finite numbers, or there is no such rasterizer.
        UnsupportedError: features asked for, and the Gaussians have none.
        DependencyError: gsplat asked for, and it is not installed.
    """
    colour = torch.as_tensor(background, dtype=gaussians.means.dtype)
    if colour.shape != (3,) or not bool(torch.isfinite(colour).all()):
        raise InputError("The background must be three finite numbers.", "Pass RGB in [0, 1], such as (0, 0, 0).")
    if features and gaussians.features is None:
        raise UnsupportedError(
            "These Gaussians carry no language features.",
            "Render without features, or use a backend that has them (lsm-tiny, lsm).",
        )
    draw = get_rasterizer(rasterizer or choose_rasterizer(gaussians))
    kept, index = finite_gaussians(gaussians, features)
    cameras = [camera] if isinstance(camera, Camera) else list(camera)
    drawn = draw(kept, cameras, colour.to(gaussians.means.device), features, picks)
    results = [_finished(result, index) for result in drawn]
    return results[0] if isinstance(camera, Camera) else results


def _finished(result: RenderResult, index: Tensor | None) -> RenderResult:
    """Clamp the colours and count `strongest` in the Gaussians as given, of which `index` [M] were drawn."""
    strongest = result.strongest
    if strongest is not None and index is not None and len(index):
        strongest = torch.where(strongest >= 0, index[strongest.clamp(min=0).long()].to(strongest), strongest)
    return replace(result, rgb=result.rgb.clamp(max=1.0), strongest=strongest)
