"""Pinhole cameras as tensors: pixel affines, projection, unprojection, rays.

Camera frame is x right, y down, z forward. Pixel (0, 0) is the centre of the top-left pixel, so an image of width W
spans -0.5 to W - 0.5. Every function keeps dtype and device of its first tensor and broadcasts leading dimensions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.errors import InputError

MIN_DEPTH = 1e-6


def resize_affine(from_size: tuple[int, int], to_size: tuple[int, int]) -> Tensor:
    """Return the affine that maps pixels of one grid to pixels of a resized one.

    Args:
        from_size: (height, width) of the grid the pixels are given on.
        to_size: (height, width) of the grid that covers the same area.

    Returns:
        [3, 3] float32.
    """
    sy, sx = to_size[0] / from_size[0], to_size[1] / from_size[1]
    return torch.tensor([[sx, 0.0, 0.5 * sx - 0.5], [0.0, sy, 0.5 * sy - 0.5], [0.0, 0.0, 1.0]])


def crop_affine(left: float, top: float) -> Tensor:
    """Return the [3, 3] float32 affine that maps pixels of an image to pixels of a crop starting at (left, top)."""
    return torch.tensor([[1.0, 0.0, -left], [0.0, 1.0, -top], [0.0, 0.0, 1.0]])


def scale_intrinsics(K: Tensor, from_size: tuple[int, int], to_size: tuple[int, int]) -> Tensor:
    """Return intrinsics [..., 3, 3] after a resize from (height, width) to (height, width)."""
    return resize_affine(from_size, to_size).to(K) @ K


def crop_intrinsics(K: Tensor, left: float, top: float) -> Tensor:
    """Return intrinsics [..., 3, 3] of a crop that starts at pixel (left, top)."""
    return crop_affine(left, top).to(K) @ K


def apply_affine(A: Tensor, pixels: Tensor) -> Tensor:
    """Map pixels [..., 2] (x, y) through an affine [3, 3]."""
    A = A.to(pixels)
    return pixels @ A[:2, :2].T + A[:2, 2]


def pixel_grid(height: int, width: int, like: Tensor | None = None) -> Tensor:
    """Return pixel centres [height, width, 2] as (x, y), float32 or dtype and device of `like`."""
    y = torch.arange(height, dtype=torch.float32)
    x = torch.arange(width, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    return grid if like is None else grid.to(like)


def transform_points(T_a_b: Tensor, points_b: Tensor) -> Tensor:
    """Map points [..., 3] of frame b into frame a by a 4x4 matrix."""
    T = T_a_b.to(points_b)
    return points_b @ T[:3, :3].T + T[:3, 3]


def project(points_cam: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Project points of the camera frame.

    Args:
        points_cam: [..., 3].
        K: [3, 3] intrinsics in pixels.

    Returns:
        Pixels [..., 2] (NaN where the point is not in front of the camera) and z [...].
    """
    z = points_cam[..., 2]
    in_front = z > MIN_DEPTH
    homogeneous = points_cam @ K.to(points_cam).T
    pixels = homogeneous[..., :2] / torch.where(in_front, z, torch.ones_like(z))[..., None]
    return torch.where(in_front[..., None], pixels, torch.full_like(pixels, torch.nan)), z


def rays(K: Tensor, height: int, width: int) -> Tensor:
    """Return viewing rays [height, width, 3] with z = 1 through the pixel centres."""
    pixels = pixel_grid(height, width, like=K)
    homogeneous = torch.cat([pixels, torch.ones_like(pixels[..., :1])], -1)
    return homogeneous @ torch.linalg.inv(K).T


def unproject(depth: Tensor, K: Tensor) -> Tensor:
    """Turn z-depth [h, w] into points [h, w, 3] of the camera frame, in the unit of the depth."""
    if depth.ndim != 2:
        raise InputError(f"Depth must be [h, w], got {tuple(depth.shape)}.", "Unproject one image at a time.")
    return rays(K.to(depth), depth.shape[0], depth.shape[1]) * depth[..., None]


def in_image(pixels: Tensor, height: int, width: int) -> Tensor:
    """Return [...] bool: the pixel (x, y) lies on the image area; False for NaN."""
    x, y = pixels.unbind(-1)
    return (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)


def field_of_view(K: Tensor, height: int, width: int) -> tuple[float, float]:
    """Return the (horizontal, vertical) opening angle in radians between the image's outer edges."""
    inverse = torch.linalg.inv(K.detach().double().cpu())
    edges = torch.tensor([[-0.5, 0, 1], [width - 0.5, 0, 1], [0, -0.5, 1], [0, height - 0.5, 1]]).double()
    x0, x1 = (edges[:2] @ inverse.T)[:, 0].tolist()
    y0, y1 = (edges[2:] @ inverse.T)[:, 1].tolist()
    spans = torch.atan(torch.tensor([x1, y1])) - torch.atan(torch.tensor([x0, y0]))
    return float(spans[0]), float(spans[1])
