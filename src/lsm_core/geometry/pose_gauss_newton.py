"""The cheap way to a camera's pose: draw the view, align the image to it by Gauss-Newton, draw again.

Dense alignment (Lucas and Kanade 1981; Kerl et al. 2013): each drawn pixel has a depth, so a small motion of the
camera says where in the image its colour should be. Drawing, the dear part, happens once per round and without
gradients, instead of once per step with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.geometry.camera import apply_affine, pixel_grid, rays, resize_affine, scale_intrinsics
from lsm_core.geometry.se3 import hat, invert, se3_exp
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians, RenderResult


@dataclass(frozen=True)
class AlignOptions:
    """How an image is aligned.

    Attributes:
        rounds: views drawn, at most.
        levels: the image is halved this often less one, coarsest first.
        steps: of Gauss-Newton per level and round, at most.
        outlier: difference of colours, in [0, 1], from which a pixel's pull no longer grows (Huber).
        min_alpha: opacity from which a drawn pixel has a depth to trust.
        min_motion: radians, or shares of the scene's depth: a round that moves less is the last.
        background: RGB behind the Gaussians.
    """

    rounds: int = 10
    levels: int = 4
    steps: int = 6
    outlier: float = 0.08
    min_alpha: float = 0.5
    min_motion: float = 1e-4
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class AlignedCamera:
    """The camera at the lowest difference, and the mean Huber loss of colours after each round."""

    camera: Camera
    losses: list[float]


def align_camera(
    gaussians: Gaussians, camera: Camera, image: Tensor, options: AlignOptions | None = None
) -> AlignedCamera:
    """Move a camera until what it sees of the Gaussians lies on its image.

    Args:
        gaussians: the scene; it is not changed.
        camera: where to start.
        image: [H, W, 3] float in [0, 1], of the camera's size.
        options: rounds, pyramid, thresholds.

    Raises:
        InputError: the image is not of the camera's size.
    """
    opts = options or AlignOptions()
    if tuple(image.shape) != (camera.height, camera.width, 3):
        raise InputError(f"The image is {tuple(image.shape)}, its camera {camera.height}x{camera.width}.")
    scene = replace(gaussians, features=None)
    target = image.to(scene.means)
    best, losses = camera, list[float]()
    present = camera
    for _ in range(opts.rounds + 1):
        drawn = render(scene, present, background=opts.background, picks=False)
        losses.append(_huber_mean(drawn, target, opts))
        if losses[-1] > min(losses):
            break
        best = present
        motion, depth = _motion(drawn, target, present, opts)
        if len(losses) > opts.rounds or _size(motion, depth) < opts.min_motion:
            break
        T_cam_scene = motion @ present.T_cam_scene.double().cpu()
        present = replace(present, T_scene_cam=invert(T_cam_scene).to(camera.T_scene_cam))
    return AlignedCamera(best, losses)


@dataclass(frozen=True, eq=False)
class _Level:
    """One size of the pyramid: P drawn pixels that can be trusted, and the image with its slopes."""

    points: Tensor  # [P, 3] in the present camera
    colors: Tensor  # [P, 3] drawn
    slopes: Tensor  # [1, 9, h, w]: the image, its slope along x, along y, per pixel
    K: Tensor  # [3, 3] of this size


def _motion(drawn: RenderResult, target: Tensor, camera: Camera, options: AlignOptions) -> tuple[Tensor, float]:
    """Return the motion [4, 4] float64 that lays the drawn view on the image, and the view's median depth."""
    seen = (drawn.alpha >= options.min_alpha) & (drawn.depth > max(camera.near, 1e-6))
    if int(seen.sum()) < 64:
        return torch.eye(4, dtype=torch.float64), 1.0
    depth = float(drawn.depth[seen].median())
    motion = torch.eye(4, dtype=torch.float64)
    for level in reversed(range(options.levels)):
        if min(target.shape[:2]) >> level < 16:
            continue
        data = _level(drawn, seen, target, camera, level)
        for _ in range(options.steps):
            step = _step(data, motion, depth, options.outlier)
            if step is None:
                break
            motion = se3_exp(step) @ motion
            if float(step[3:].norm() + step[:3].norm() / depth) < 0.1 * options.min_motion:
                break
    return motion, depth


def _level(drawn: RenderResult, seen: Tensor, target: Tensor, camera: Camera, level: int) -> _Level:
    """Return one size of the pyramid; drawn pixels of a coarse one are those of the fine one that it starts at."""
    factor = 2**level
    planes = target.permute(2, 0, 1)[None]
    picture = drawn.rgb.permute(2, 0, 1)[None]
    if factor > 1:
        planes, picture = F.avg_pool2d(planes, factor), F.avg_pool2d(picture, factor)
    h, w = planes.shape[2:]
    # pooled pixels cover whole blocks: what is left at the right and lower edge is not looked at
    K = scale_intrinsics(camera.K.to(target), (h * factor, w * factor), (h, w))
    dx, dy = torch.zeros_like(planes), torch.zeros_like(planes)
    dx[..., 1:-1] = 0.5 * (planes[..., 2:] - planes[..., :-2])
    dy[..., 1:-1, :] = 0.5 * (planes[..., 2:, :] - planes[..., :-2, :])
    fine = apply_affine(resize_affine((h, w), (h * factor, w * factor)), pixel_grid(h, w)).round().long()
    at = (fine[..., 1].to(target.device), fine[..., 0].to(target.device))
    kept = seen[at]
    points = (rays(K, h, w) * drawn.depth[at][..., None])[kept]
    return _Level(points, picture[0].permute(1, 2, 0)[kept], torch.cat([planes, dx, dy], 1), K)


def _step(data: _Level, motion: Tensor, depth: float, outlier: float) -> Tensor | None:
    """Return the next twist [6] float64 (rho, theta); None where too little is left to see, or it runs away."""
    T = motion.to(data.points)
    points = data.points @ T[:3, :3].T + T[:3, 3]
    x, y, z = points.unbind(-1)
    front = z > 1e-3 * depth
    z = torch.where(front, z, torch.ones_like(z))
    fx, fy = data.K[0, 0], data.K[1, 1]
    u, v = fx * x / z + data.K[0, 2], fy * y / z + data.K[1, 2]
    h, w = data.slopes.shape[2:]
    inside = front & (u >= 0) & (u <= w - 1) & (v >= 0) & (v <= h - 1)
    if int(inside.sum()) < 32:
        return None
    points, u, v, z = points[inside], u[inside], v[inside], z[inside]
    grid = torch.stack([2 * u / (w - 1) - 1, 2 * v / (h - 1) - 1], -1)
    found = F.grid_sample(data.slopes, grid[None, None], align_corners=True)[0, :, 0].T  # [P, 9]
    residual = found[:, :3] - data.colors[inside]
    zero = torch.zeros_like(z)
    by_point = torch.stack(
        [torch.stack([fx / z, zero, -fx * points[:, 0] / z**2], -1),
         torch.stack([zero, fy / z, -fy * points[:, 1] / z**2], -1)], 1,
    )  # fmt: skip
    by_twist = torch.cat([by_point, -by_point @ hat(points)], -1)  # [P, 2, 6]
    J = found[:, 3:6, None] * by_twist[:, :1] + found[:, 6:, None] * by_twist[:, 1:]  # [P, 3, 6]
    J, r = J.flatten(0, 1).double(), residual.flatten().double()
    weight = (outlier / r.abs().clamp(min=1e-12)).clamp(max=1.0)
    H, g = (J * weight[:, None]).T @ J, (J * weight[:, None]).T @ r
    H = H.cpu() + 1e-6 * torch.diag(H.diagonal().cpu().clamp(min=1e-9))
    step = -torch.linalg.solve(H, g.cpu())
    if not bool(torch.isfinite(step).all()) or float(step[3:].norm()) > 0.5 or float(step[:3].norm()) > depth:
        return None
    return step


def _huber_mean(drawn: RenderResult, target: Tensor, options: AlignOptions) -> float:
    return float(F.huber_loss(drawn.rgb, target, delta=options.outlier))


def _size(motion: Tensor, depth: float) -> float:
    """Return how large a motion is: its angle and its shift in shares of the depth together."""
    angle = math.acos(max(-1.0, min(1.0, (float(motion[:3, :3].trace()) - 1) / 2)))
    return angle + float(motion[:3, 3].norm()) / depth


def align_cameras(
    gaussians: Gaussians, cameras: Sequence[Camera], images: Sequence[Tensor], options: AlignOptions | None = None
) -> list[AlignedCamera]:
    """Align several cameras, each on its own; see `align_camera`."""
    return [align_camera(gaussians, camera, image, options) for camera, image in zip(cameras, images, strict=True)]
