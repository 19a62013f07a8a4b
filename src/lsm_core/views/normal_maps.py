"""Normals of a scene seen from a camera, as vectors and as colours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.geometry.camera import unproject
from lsm_core.geometry.normals import surface_normals
from lsm_core.io.colormaps import RgbImage
from lsm_core.render import render
from lsm_core.render.projection import rotation_matrices
from lsm_core.render.surface_depth import surface_depth
from lsm_core.types import Camera, Gaussians, RenderResult

FLAT = 0.5  # a scene whose Gaussians' shortest axis is mostly below this share of the middle one is made of discs


def scene_normals(gaussians: Gaussians, seen: RenderResult, camera: Camera) -> NDArray[np.float32]:
    """Return unit normals [H, W, 3] towards the camera, in the scene's frame; NaN where nothing is drawn.

    Discs (lsm-tiny) have a normal each, which is blended as their colours are. Round Gaussians have none, and the
    depth of the surface is differentiated.

    Args:
        gaussians: the scene.
        seen: the scene drawn by this camera.
        camera: that looks.
    """
    if made_of_discs(gaussians):
        drawn = render(
            replace(gaussians, features=disc_normals(gaussians, camera)), camera, features=True, picks=False
        )
        assert drawn.features is not None
        normals = drawn.features.detach().float().cpu()
    else:
        points = unproject(surface_depth(seen).float().cpu(), camera.K.detach().float().cpu())
        R_scene_cam = camera.T_scene_cam[:3, :3].detach().float().cpu()
        normals = -surface_normals(points) @ R_scene_cam.T
    normals = torch.nn.functional.normalize(normals, dim=-1)
    empty = (seen.alpha <= 0).cpu() | (normals.norm(dim=-1) < 0.5)
    return torch.where(empty[..., None], torch.nan, normals).numpy()


def made_of_discs(gaussians: Gaussians) -> bool:
    """Say whether the Gaussians are flat: most have one axis that is much shorter than the others."""
    ordered = gaussians.scales.detach().sort(dim=1).values
    return len(ordered) > 0 and float((ordered[:, 0] / ordered[:, 1]).median()) < FLAT


def disc_normals(gaussians: Gaussians, camera: Camera) -> Tensor:
    """Return [N, 3] the shortest axis of each Gaussian, turned towards the camera, in the scene's frame."""
    shortest = gaussians.scales.detach().argmin(dim=1)
    axes = rotation_matrices(gaussians.quats.detach())  # columns are the local axes
    normals = axes[torch.arange(len(axes), device=axes.device), :, shortest]
    to_camera = camera.T_scene_cam[:3, 3].to(normals) - gaussians.means.detach()
    facing = (normals * to_camera).sum(1, keepdim=True)
    return torch.where(facing < 0, -normals, normals)


def color_normals(normals: NDArray[np.float32]) -> RgbImage:
    """Return [H, W, 3] uint8: red right, green up, blue towards the viewer of the scene's frame (x right, y down).

    The scene's frame is the first camera's, so a wall keeps its colour while the camera moves. NaN becomes black.
    """
    share = 0.5 + 0.5 * normals * np.array([1.0, -1.0, -1.0])
    return np.nan_to_num(255 * share).round().astype(np.uint8)
