"""Gaussians of a view, computed from depth: one per output pixel; a Gaussian head changes them a little.

Each Gaussian is a flat disc on the surface that the pointmap shows: its radius covers the pixel's
footprint (depth / focal length), stretched along the slope, its thin axis is the surface normal.
Colour is the pixel's, opacity grows with the confidence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lsm_core.geometry.normals import surface_normals
from lsm_core.nn.tiny.gaussian_head import DiscChanges
from lsm_core.sh import C0
from lsm_core.types import Gaussians, quat_multiply

FOOTPRINT = 0.6  # standard deviation of the disc in pixels
MAX_STRETCH = 3.0  # along a slope seen at a grazing angle
THICKNESS = 0.1  # of the smaller radius


@dataclass(frozen=True)
class SurfaceView:
    """One view's surface in the frame the Gaussians are wanted in."""

    points: Tensor  # [h, w, 3] scene frame
    depth: Tensor  # [h, w] along z of the view's camera, scene unit
    rgb: Tensor  # [h, w, 3] uint8
    opacity: Tensor  # [h, w] in [0, 1]
    features: Tensor  # [h, w, D]
    focal: float  # px of this grid
    T_scene_cam: Tensor  # [4, 4]


def disc_rotation(normals: Tensor, view: Tensor) -> Tensor:
    """Return rotations [N, 3, 3] with columns: up the slope, across it, normal.

    Args:
        normals: [N, 3] unit.
        view: [N, 3] unit directions from the camera to the point.
    """
    slope = view - (view * normals).sum(-1, keepdim=True) * normals
    fallback = torch.linalg.cross(normals, normals.roll(1, dims=-1) + 0.1, dim=-1)
    weak = slope.norm(dim=-1, keepdim=True) < 1e-3
    first = F.normalize(torch.where(weak, fallback, slope), dim=-1)
    return torch.stack((first, torch.linalg.cross(normals, first, dim=-1), normals), dim=-1)


def quaternions(R: Tensor) -> Tensor:
    """Return unit quaternions wxyz [N, 4] of rotations [N, 3, 3], by the largest of four pivots."""
    m00, m11, m22 = R[:, 0, 0], R[:, 1, 1], R[:, 2, 2]
    squares = torch.stack((1 + m00 + m11 + m22, 1 + m00 - m11 - m22, 1 - m00 + m11 - m22, 1 - m00 - m11 + m22), -1)
    a, b, c = R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]
    d, e, f = R[:, 1, 0] + R[:, 0, 1], R[:, 0, 2] + R[:, 2, 0], R[:, 2, 1] + R[:, 1, 2]
    rows = torch.stack(
        (
            torch.stack((squares[:, 0], a, b, c), -1),
            torch.stack((a, squares[:, 1], d, e), -1),
            torch.stack((b, d, squares[:, 2], f), -1),
            torch.stack((c, e, f, squares[:, 3]), -1),
        ),
        dim=1,
    )
    best = squares.argmax(dim=1)
    return F.normalize(rows[torch.arange(len(R), device=R.device), best], dim=-1)


def surface_gaussians(view: SurfaceView, changes: DiscChanges | None = None) -> Gaussians:
    """Put one disc on every pixel with finite depth of a view.

    Args:
        view: the surface.
        changes: [h, w] of what a head changes on each disc; None: nothing.
    """
    flat = view.points.reshape(-1, 3)
    normals = surface_normals(view.points).reshape(-1, 3)
    direction = F.normalize(flat - view.T_scene_cam[:3, 3], dim=-1)
    facing = (normals * direction).sum(-1, keepdim=True)
    normals = torch.where(facing > 0, -normals, normals)  # towards the camera
    radius = FOOTPRINT * view.depth.reshape(-1) / view.focal
    stretch = (1.0 / facing[:, 0].abs().clamp_min(1e-3)).clamp(max=MAX_STRETCH)
    scales = torch.stack((radius * stretch, radius, radius * THICKNESS), dim=-1).clamp_min(1e-6)
    colour = view.rgb.reshape(-1, 3).float() / 255.0
    gaussians = Gaussians(
        means=flat,
        quats=quaternions(disc_rotation(normals, direction)),
        scales=scales,
        opacities=view.opacity.reshape(-1),
        sh=((colour - 0.5) / C0)[:, None],
        features=view.features.reshape(flat.shape[0], -1),
    )
    keep = torch.isfinite(flat).all(-1) & torch.isfinite(gaussians.quats).all(-1) & (normals.norm(dim=-1) > 0.5)
    index = slice(None) if bool(keep.all()) else keep  # a slice copies nothing
    kept = gaussians.select(index)
    return kept if changes is None else _changed(kept, view, changes, index)


def _changed(discs: Gaussians, view: SurfaceView, changes: DiscChanges, keep: Tensor | slice) -> Gaussians:
    """Apply the changes of the pixels kept to their discs; those of zero leave every number as it was."""
    change = {name: value.flatten(0, 1)[keep] for name, value in vars(changes).items()}
    R, centre = view.T_scene_cam[:3, :3], view.T_scene_cam[:3, 3]
    px = (view.depth.reshape(-1, 1)[keep] / view.focal) * change["shift"]
    moved = (discs.means - centre) * torch.expm1(change["log_depth"])[:, None]
    moved = moved + px[:, :1] * R[:, 0] + px[:, 1:] * R[:, 1]
    turn = torch.cat((torch.ones_like(change["turn"][:, :1]), 0.5 * change["turn"]), dim=-1)
    odds = torch.exp(-change["opacity"])
    return Gaussians(
        means=discs.means + moved,
        quats=quat_multiply(discs.quats, turn / turn.norm(dim=-1, keepdim=True)),
        scales=discs.scales * change["log_scale"].exp(),
        opacities=discs.opacities / (discs.opacities + (1.0 - discs.opacities) * odds),
        sh=discs.sh + (change["colour"] / C0)[:, None],
        features=discs.features,
    )
