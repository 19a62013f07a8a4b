"""A room whose depth, colours and normals are known at every pixel: checked floor, striped wall, two cameras."""

from __future__ import annotations

import numpy as np
import torch

from lsm_core.backends.tiny_gaussians import SurfaceView, surface_gaussians
from lsm_core.geometry.camera import rays
from lsm_core.types import Camera, Gaussians
from lsm_core.views import Scene

FLOOR, WALL = 1.0, 4.0  # y of the floor, z of the wall
WIDTH, HEIGHT = 96, 72
K = torch.tensor([[80.0, 0, 47.5], [0, 80.0, 35.5], [0, 0, 1]])


def camera(x: float = 0.0, yaw_deg: float = 0.0) -> Camera:
    """Return a camera that stands `x` to the right and looks `yaw_deg` to the right."""
    a = np.deg2rad(yaw_deg)
    T = torch.eye(4)
    T[:3, :3] = torch.tensor([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    T[0, 3] = x
    return Camera(K, WIDTH, HEIGHT, T)


def look(view: Camera) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return points [h, w, 3], colours [h, w, 3] in [0, 1] and whether each pixel is floor, of the room itself."""
    R, centre = view.T_scene_cam[:3, :3], view.T_scene_cam[:3, 3]
    directions = rays(view.K, view.height, view.width) @ R.T
    to_wall = (WALL - centre[2]) / directions[..., 2]
    to_floor = (FLOOR - centre[1]) / directions[..., 1].clamp(min=1e-6)
    floor = to_floor < to_wall
    points = centre + torch.minimum(to_wall, to_floor)[..., None] * directions
    check = 0.5 + 0.3 * torch.sin(2 * points[..., 0]) * torch.cos(2 * points[..., 2])
    stripes = 0.5 + 0.35 * torch.sin(2.5 * points[..., 0])
    colours = torch.stack(
        [torch.where(floor, check, 0.3), torch.where(floor, 0.35, stripes), torch.where(floor, 0.25, 0.7)], -1
    )
    return points, colours, floor


def gaussians(views: list[Camera], discs: bool = True) -> Gaussians:
    """Return one Gaussian per pixel of some views; flat ones, or round ones. Features: floor 1, 0; wall 0, 1; x."""
    parts = []
    for view in views:
        points, colours, floor = look(view)
        features = torch.stack([floor.float(), 1 - floor.float(), 0.3 * torch.tanh(points[..., 0])], -1)
        depth = (points - view.T_scene_cam[:3, 3]) @ view.T_scene_cam[:3, 2]
        surface = SurfaceView(
            points,
            depth,
            (255 * colours).round().to(torch.uint8),
            torch.full(depth.shape, 0.9),
            features,
            float(view.K[0, 0]),
            view.T_scene_cam,
        )
        parts.append(surface_gaussians(surface))
    joined = Gaussians.concatenate(parts)
    if discs:
        return joined
    round_scales = joined.scales[:, 1:2].expand(-1, 3).contiguous()
    return Gaussians(joined.means, joined.quats, round_scales, joined.opacities, joined.sh, joined.features)


def room(discs: bool = True) -> Scene:
    """Return the room seen from two places."""
    views = [camera(-0.3, 3.0), camera(0.3, -3.0)]
    return Scene(gaussians(views, discs), tuple(views), (), "metric", None, "room")


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Return the peak signal to noise ratio of two pictures in [0, 255], dB."""
    return float(10 * np.log10(255.0**2 / np.mean((a.astype(float) - b.astype(float)) ** 2)))
