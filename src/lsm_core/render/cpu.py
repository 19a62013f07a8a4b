"""The fast rasterizer for processors: compiled tiles (numba), front to back, ending early, float32.

Twin of `reference.py`, which the tests compare it with (1e-4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lsm_core.render.cpu_binning import bin_rows
from lsm_core.render.cpu_blend import MEDIAN_DEPTH, PLANES, TRANSMITTANCE, blend_row
from lsm_core.render.cpu_projection import project_records
from lsm_core.render.cpu_records import TILE, FloatArray, IntArray, Records, tile_counts
from lsm_core.render.cpu_threads import run_all
from lsm_core.render.reference import rasterize_reference
from lsm_core.types import Camera, Gaussians, RenderResult


def rasterize_cpu(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    background: Tensor,
    features: bool = False,
    picks: bool = True,
) -> list[RenderResult]:
    """Draw Gaussians; see `lsm_core.render.base.Rasterizer`."""
    if wants_gradient(gaussians, cameras):
        return rasterize_reference(gaussians, cameras, background, features, picks)
    channels = _features(gaussians) if features else np.empty((0, 0), np.float32)
    return [_rasterize(gaussians, camera, background, channels, features, picks) for camera in cameras]


def wants_gradient(gaussians: Gaussians, cameras: Sequence[Camera]) -> bool:
    """Say whether anything that is drawn requires a gradient."""
    scene = [gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh]
    scene += [camera.T_scene_cam for camera in cameras]
    if gaussians.features is not None:
        scene.append(gaussians.features)
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in scene)


def _features(gaussians: Gaussians) -> FloatArray:
    """Return the features [N, D] float32, contiguous on the CPU."""
    assert gaussians.features is not None
    return np.ascontiguousarray(gaussians.features.detach().cpu().numpy(), dtype=np.float32)


def _rasterize(
    gaussians: Gaussians, camera: Camera, background: Tensor, channels: FloatArray, features: bool, picks: bool
) -> RenderResult:
    """Draw one camera."""
    records = project_records(gaussians, camera)
    planes, strongest, drawn = blend(records, channels, camera)
    height, width, device = camera.height, camera.width, gaussians.means.device
    image = torch.from_numpy(planes)[:, :height, :width].to(device)
    left = image[TRANSMITTANCE]
    alpha = 1 - left
    return RenderResult(
        rgb=image[:3].permute(1, 2, 0) + left[..., None] * background.to(image),
        depth=torch.where(alpha > 0, image[3] / alpha.clamp(min=1e-10), 0.0),
        alpha=alpha,
        features=torch.from_numpy(drawn)[:height, :width].to(device) if features else None,
        median_depth=image[MEDIAN_DEPTH] if picks else None,
        strongest=torch.from_numpy(strongest)[:height, :width].to(device) if picks else None,
    )


def blend(records: Records, channels: FloatArray, camera: Camera) -> tuple[FloatArray, IntArray, FloatArray]:
    """Blend all tiles.

    Args:
        records: of a view.
        channels: [N, D] float32 features of all Gaussians, or D = 0.
        camera: for its size.

    Returns:
        Planes [PLANES, H', W'], strongest Gaussians [H', W'] and features [H', W', D], of whole tiles.
    """
    rows, columns = tile_counts(camera)
    starts, members = bin_rows(records.order, records.values, rows)
    planes = np.empty((PLANES, rows * TILE, columns * TILE), np.float32)
    strongest = np.empty(planes.shape[1:], np.int32)
    drawn = np.zeros((*planes.shape[1:], channels.shape[1]), np.float32)

    def work(row: int) -> None:
        part = members[starts[row] : starts[row + 1]]
        blend_row(row, part, records.values, records.source, channels, planes, strongest, drawn)

    run_all(work, rows)
    return planes, strongest, drawn
