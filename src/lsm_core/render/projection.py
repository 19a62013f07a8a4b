"""From 3D Gaussians to 2D ones: EWA splatting (Zwicker et al. 2001) with the constants of 3D Gaussian Splatting.

Differentiable, shared by the rasterizers, so that they can differ in the blending only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.render.base import DILATION_PX2, FRUSTUM_MARGIN, TILE
from lsm_core.sh import sh_basis
from lsm_core.types import Camera, Gaussians


@dataclass(frozen=True)
class Splats:
    """The M visible Gaussians of a view, front to back.

    Attributes:
        index: [M] int64, which of the scene's Gaussians.
        means: [M, 2] float32 pixels (0 = centre of the top-left pixel).
        conics: [M, 3] float32 inverse 2D covariance (xx, xy, yy), 1 / px^2.
        variances: [M, 2] float32 diagonal of the 2D covariance, px^2.
        depths: [M] float32 z in the camera, ascending.
        opacities: [M] float32.
        rgb: [M, 3] float32 >= 0, colour seen from the camera.
        tiles: [M, 4] int64 (x0, y0, x1, y1), half-open range of tiles touched.
    """

    index: Tensor
    means: Tensor
    conics: Tensor
    variances: Tensor
    depths: Tensor
    opacities: Tensor
    rgb: Tensor
    tiles: Tensor


def rotation_matrices(quats: Tensor) -> Tensor:
    """Return [N, 3, 3] rotations of quaternions wxyz [N, 4], normalised here."""
    w, x, y, z = torch.nn.functional.normalize(quats, dim=-1).unbind(-1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    ]
    return torch.stack(rows, -2)


def view_colors(gaussians: Gaussians, camera: Camera) -> Tensor:
    """Return [N, 3] rgb >= 0 of each Gaussian along the ray from the camera centre to its mean."""
    centre = camera.T_scene_cam[:3, 3].to(gaussians.means)
    directions = torch.nn.functional.normalize(gaussians.means - centre, dim=-1)
    basis = sh_basis(directions, gaussians.degree)
    return (0.5 + torch.einsum("nk,nkc->nc", basis, gaussians.sh)).clamp(min=0)


def project_covariances(gaussians: Gaussians, means_cam: Tensor, camera: Camera) -> tuple[Tensor, Tensor, Tensor]:
    """Return the dilated 2D covariances (xx, xy, yy), each [N] in px^2.

    Args:
        means_cam: [N, 3] means in the camera frame, z > 0.
    """
    K = camera.K.to(means_cam)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5  # distances from the image's left and top edge
    margin_x = FRUSTUM_MARGIN * 0.5 * camera.width / fx
    margin_y = FRUSTUM_MARGIN * 0.5 * camera.height / fy
    x, y, z = means_cam.unbind(-1)
    u = torch.minimum(torch.maximum(x / z, -cx / fx - margin_x), (camera.width - cx) / fx + margin_x)
    v = torch.minimum(torch.maximum(y / z, -cy / fy - margin_y), (camera.height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    J = torch.stack(
        [torch.stack([fx / z, zero, -fx * u / z], -1), torch.stack([zero, fy / z, -fy * v / z], -1)], -2
    )
    R_cam_scene = camera.T_cam_scene[:3, :3].to(means_cam)
    half = J @ R_cam_scene @ (rotation_matrices(gaussians.quats) * gaussians.scales[:, None, :])  # [N, 2, 3]
    cov = half @ half.transpose(1, 2)
    return cov[:, 0, 0] + DILATION_PX2, cov[:, 0, 1], cov[:, 1, 1] + DILATION_PX2


def project(gaussians: Gaussians, camera: Camera) -> Splats:
    """Project a scene into a camera, cull what cannot be seen, sort by depth (ties by index)."""
    means = gaussians.means
    T_cam_scene = camera.T_cam_scene.to(means)
    means_cam = means @ T_cam_scene[:3, :3].T + T_cam_scene[:3, 3]
    finite = torch.isfinite(means_cam).all(-1) & torch.isfinite(gaussians.scales).all(-1)
    visible = torch.nonzero(finite & (means_cam[:, 2] > camera.near)).squeeze(1)
    kept, means_cam = gaussians.select(visible), means_cam[visible]
    xx, xy, yy = project_covariances(kept, means_cam, camera)
    det = xx * yy - xy * xy
    K = camera.K.to(means)
    uv = means_cam[:, :2] / means_cam[:, 2:] * K.diagonal()[:2] + K[:2, 2]
    tiles = _tiles_touched(uv.detach(), xx.detach(), yy.detach(), det.detach(), camera)
    seen = (det > 0) & (tiles[:, 2] > tiles[:, 0]) & (tiles[:, 3] > tiles[:, 1])
    order = torch.argsort(means_cam[:, 2].detach(), stable=True)
    order = order[seen[order]]
    return Splats(
        index=visible[order],
        means=uv[order],
        conics=(torch.stack([yy, -xy, xx], -1) / det[:, None])[order],
        variances=torch.stack([xx, yy], -1)[order],
        depths=means_cam[order, 2],
        opacities=kept.opacities[order],
        rgb=view_colors(kept, camera)[order],
        tiles=tiles[order],
    )


def _tiles_touched(uv: Tensor, xx: Tensor, yy: Tensor, det: Tensor, camera: Camera) -> Tensor:
    """Return [N, 4] half-open tile ranges of the squares of 3 standard deviations of the longer axis."""
    mid = 0.5 * (xx + yy)
    longest = mid + torch.sqrt((mid * mid - det).clamp(min=0.1))
    radius = torch.ceil(3 * torch.sqrt(longest))
    columns, rows = -(-camera.width // TILE), -(-camera.height // TILE)

    def bounds(centre: Tensor, count: int) -> tuple[Tensor, Tensor]:
        first = torch.floor((centre - radius) / TILE).clamp(0, count)
        last = torch.floor((centre + radius + TILE - 1) / TILE).clamp(0, count)
        return first.long(), last.long()

    x0, x1 = bounds(uv[:, 0], columns)
    y0, y1 = bounds(uv[:, 1], rows)
    return torch.stack([x0, y0, x1, y1], -1)
