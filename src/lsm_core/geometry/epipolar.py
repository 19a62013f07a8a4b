"""Rays of one camera seen by another: clipped to its image, and triangulated with its own rays (pixelSplat).

Intrinsics here are normalised: the image is the unit square, (0, 0) its top left corner. Poses are camera to world.
Distances along rays are measured with unit directions. Source: specification of pixelSplat, section 4.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

IN_IMAGE = 1e-6  # how far outside still counts as inside
PARALLEL = 1e-5  # rays with 1 - cosine below this meet at FAR_AWAY
FAR_AWAY = 1e10  # per coordinate


@dataclass(frozen=True, eq=False)
class RaySegments:
    """The parts of rays that a camera sees.

    Attributes:
        seen: [...] bool, whether there is such a part.
        t_min, t_max: [...] distances along the rays; +inf and -inf where there is none.
        xy_min, xy_max: [..., 2] normalised image positions of the ends; 0 where there is none.
    """

    seen: Tensor
    t_min: Tensor
    t_max: Tensor
    xy_min: Tensor
    xy_max: Tensor


def cell_centres(height: int, width: int, like: Tensor) -> Tensor:
    """Return the normalised centres (x, y) of a grid's cells, [height, width, 2], dtype and device of `like`."""
    x = (torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) / width
    y = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) / height
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def world_rays(xy: Tensor, T_world_cam: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Return origins and unit directions of the rays through image positions.

    Args:
        xy: [..., N, 2] normalised.
        T_world_cam: [..., 4, 4].
        K: [..., 3, 3] normalised.

    Returns:
        Two [..., N, 3], in the world.
    """
    homogeneous = torch.cat((xy, torch.ones_like(xy[..., :1])), -1)
    local = homogeneous @ torch.linalg.inv(K).mT
    directions = (local / local.norm(dim=-1, keepdim=True)) @ T_world_cam[..., :3, :3].mT
    return T_world_cam[..., None, :3, 3].expand_as(directions), directions


def clip_rays(
    origins: Tensor,
    directions: Tensor,
    T_world_cam: Tensor,
    K: Tensor,
    near: Tensor | None = None,
    far: Tensor | None = None,
) -> RaySegments:
    """Clip rays to what a camera sees of them.

    An end is where the ray is at `near` (`far`) if that is in the image, else the first (last) crossing of the
    image's border, wherever on the ray that is, as in the reference.

    Args:
        origins, directions: [..., N, 3] in the world.
        T_world_cam: [..., 4, 4] of the camera that looks at the rays.
        K: [..., 3, 3] of it, normalised.
        near: [..., 1] or [..., N] distance of the first point; the ray's origin by default.
        far: the same of the last point; infinity by default.
    """
    T_cam_world = torch.linalg.inv(T_world_cam)
    R, t = T_cam_world[..., :3, :3], T_cam_world[..., None, :3, 3]
    start, along = origins @ R.mT + t, directions @ R.mT
    crossings = [_border_crossing(start, along, K, axis, value) for axis in (0, 1) for value in (0.0, 1.0)]
    crossing_t = torch.stack([c[0] for c in crossings], -1)
    crossing_xy = torch.stack([c[1] for c in crossings], -2)
    crossing_ok = torch.stack([c[2] for c in crossings], -1)
    t_near = torch.zeros_like(start[..., 0]) if near is None else near.expand_as(start[..., 0])
    xy_near, near_ok = _seen_at(start + t_near[..., None] * along, K)
    if far is None:
        t_far = torch.full_like(t_near, torch.inf)
        xy_far, far_ok = _seen_at(along, K)
    else:
        t_far = far.expand_as(t_near)
        xy_far, far_ok = _seen_at(start + t_far[..., None] * along, K)
    first_t, first_xy = _extreme(crossing_t, crossing_xy, crossing_ok, largest=False)
    last_t, last_xy = _extreme(crossing_t, crossing_xy, crossing_ok, largest=True)
    any_crossing = crossing_ok.any(-1)
    seen = (near_ok | any_crossing) & (far_ok | any_crossing)

    def kept(value: Tensor, else_value: float) -> Tensor:
        mask = seen if value.ndim == seen.ndim else seen[..., None]
        return torch.where(mask, value, torch.full_like(value, else_value))

    return RaySegments(
        seen,
        kept(torch.where(near_ok, t_near, first_t), torch.inf),
        kept(torch.where(far_ok, t_far, last_t), -torch.inf),
        kept(torch.where(near_ok[..., None], xy_near, first_xy), 0.0),
        kept(torch.where(far_ok[..., None], xy_far, last_xy), 0.0),
    )


def ray_depth(origins: Tensor, directions: Tensor, other_origins: Tensor, other_directions: Tensor) -> Tensor:
    """Return how far along each ray, from its origin, the point nearest to it and another ray lies.

    The closed form of the least-squares point of two lines, the middle of their shortest connection. Written with
    cross products, so that nearly parallel rays lose little precision.

    Args:
        origins, directions, other_origins, other_directions: [..., 3], directions of unit length.

    Returns:
        [...] distance from `origins`, >= 0; very large for parallel rays.
    """
    apart = other_origins - origins
    normal = torch.linalg.cross(directions, other_directions)
    square = normal.square().sum(-1)
    t = (torch.linalg.cross(apart, other_directions) * normal).sum(-1) / square
    other_t = (torch.linalg.cross(apart, directions) * normal).sum(-1) / square
    middle = 0.5 * (t[..., None] * directions + apart + other_t[..., None] * other_directions)
    return torch.where(_parallel(directions, other_directions), _far_depth(origins), middle.norm(dim=-1))


def ray_depth_least_squares(
    origins: Tensor, directions: Tensor, other_origins: Tensor, other_directions: Tensor
) -> Tensor:
    """Return what `ray_depth` does, by solving the normal equations sum(d d^T - I) p = sum(d d^T - I) o."""
    identity = torch.eye(3, dtype=origins.dtype, device=origins.device)
    first = directions[..., None] * directions[..., None, :] - identity
    second = other_directions[..., None] * other_directions[..., None, :] - identity
    right = (first @ origins[..., None] + second @ other_origins[..., None])[..., 0]
    parallel = _parallel(directions, other_directions)
    system = torch.where(parallel[..., None, None], identity, first + second)
    point = torch.linalg.lstsq(system, right[..., None]).solution[..., 0]
    return torch.where(parallel, _far_depth(origins), (point - origins).norm(dim=-1))


def _parallel(a: Tensor, b: Tensor) -> Tensor:
    """Tell for unit vectors whether 1 - a.b, which is |a - b|^2 / 2, is below the limit."""
    return 0.5 * (a - b).square().sum(-1) < PARALLEL


def _far_depth(origins: Tensor) -> Tensor:
    return (FAR_AWAY - origins).norm(dim=-1)


def _project(point: Tensor, K: Tensor) -> Tensor:
    """Return the image positions of points of the camera; the depth is moved off zero as in the reference."""
    scaled = point / (point[..., 2:] + torch.finfo(point.dtype).eps)
    return scaled @ K[..., :2, :].mT


def _seen_at(point: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    xy = _project(point, K)
    return xy, _inside(xy) & (point[..., 2] > -IN_IMAGE)


def _inside(xy: Tensor) -> Tensor:
    return ((xy >= -IN_IMAGE) & (xy <= 1 + IN_IMAGE)).all(-1)


def _border_crossing(
    start: Tensor, along: Tensor, K: Tensor, axis: int, value: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return distance, image position and validity of where rays cross the line x = value or y = value."""
    slope = ((value - K[..., axis, 2]) / K[..., axis, axis])[..., None]
    t = (slope * start[..., 2] - start[..., axis]) / (along[..., axis] - slope * along[..., 2])
    point = start + t[..., None] * along
    xy = _project(point, K)
    fixed = torch.full_like(t, value)
    xy = torch.stack((fixed, xy[..., 1]) if axis == 0 else (xy[..., 0], fixed), -1)
    valid = t.isfinite() & xy.isfinite().all(-1) & _inside(xy) & (t > -IN_IMAGE) & (point[..., 2] > -IN_IMAGE)
    return t, xy, valid


def _extreme(t: Tensor, xy: Tensor, valid: Tensor, largest: bool) -> tuple[Tensor, Tensor]:
    """Return the valid candidate [..., C] of smallest or largest distance, and its position [..., C, 2]."""
    masked = torch.where(valid, t, torch.full_like(t, -torch.inf if largest else torch.inf))
    value, index = masked.max(-1) if largest else masked.min(-1)
    return value, xy.gather(-2, index[..., None, None].expand(*index.shape, 1, 2))[..., 0, :]
