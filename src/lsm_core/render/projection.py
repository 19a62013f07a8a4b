"""From 3D Gaussians to 2D ones: EWA splatting (Zwicker et al. 2001) with the constants of 3D Gaussian Splatting.

Plain torch and differentiable. `cpu_projection.py` is its compiled twin without gradients.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lsm_core.render.base import ALPHA_MIN, DILATION_PX2, FAR_PX, FRUSTUM_MARGIN, RELEASED_TILE, Culling
from lsm_core.sh import C0, sh_basis
from lsm_core.types import Camera, Gaussians


@dataclass(frozen=True)
class Splats:
    """The M Gaussians of a view that can reach a pixel, front to back.

    A pixel at offset (dx, dy) from a mean is `sqrt(a^2 + b^2)` standard deviations away, with
    `a = whitening[0] dx + whitening[1] dy` and `b = whitening[2] dy`. This form of the inverse covariance (its
    Cholesky factor) keeps its digits in float32 where a needle's determinant would not.

    Attributes:
        index: [M] int64, which of the scene's Gaussians.
        means: [M, 2] pixels (0 = centre of the top-left pixel).
        whitening: [M, 3] 1 / px.
        box: [M, 4] px (left, top, right, bottom) inclusive, outside of which it is not drawn; no gradient.
        depths: [M] z in the camera, ascending.
        opacities: [M].
        rgb: [M, 3] >= 0, colour seen from the camera.
        boxed: whether the box leaves out more than what has alpha < 1/255.
    """

    index: Tensor
    means: Tensor
    whitening: Tensor
    box: Tensor
    depths: Tensor
    opacities: Tensor
    rgb: Tensor
    boxed: bool = False


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
    if gaussians.degree == 0:
        return (0.5 + C0 * gaussians.sh[:, 0]).clamp(min=0)
    centre = camera.T_scene_cam[:3, 3].to(gaussians.means)
    directions = torch.nn.functional.normalize(gaussians.means - centre, dim=-1)
    basis = sh_basis(directions, gaussians.degree)
    return (0.5 + torch.einsum("nk,nkc->nc", basis, gaussians.sh)).clamp(min=0)


def camera_points(means: Tensor, T_cam_scene: Tensor) -> Tensor:
    """Return means [N, 3] in the camera frame.

    Sums are written out so that every implementation rounds alike: depths decide an order.
    """
    x, y, z = means.unbind(-1)
    return torch.stack([row[0] * x + row[1] * y + row[2] * z + row[3] for row in T_cam_scene[:3]], -1)


def project_axes(gaussians: Gaussians, means_cam: Tensor, camera: Camera) -> Tensor:
    """Return [N, 2, 3]: the three axes of each Gaussian, one standard deviation long, projected to px.

    The 2D covariance is this matrix times its transpose.

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
    return J @ R_cam_scene @ (rotation_matrices(gaussians.quats) * gaussians.scales[:, None, :])


def dilated_covariances(axes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return xx, xy, yy and the determinant, each [N], of the dilated 2D covariances of axes [N, 2, 3].

    The determinant is a sum of positive terms (Lagrange's identity), exact also for needles.
    """
    a, b = axes.unbind(1)
    aa, ab, bb = (a * a).sum(-1), (a * b).sum(-1), (b * b).sum(-1)
    cross = torch.linalg.cross(a, b, dim=-1)
    det = (cross * cross).sum(-1) + DILATION_PX2 * (aa + bb) + DILATION_PX2 * DILATION_PX2
    return aa + DILATION_PX2, ab, bb + DILATION_PX2, det


def project(gaussians: Gaussians, camera: Camera, culling: Culling = "exact") -> Splats:
    """Project a scene into a camera, leave out what reaches no pixel, sort by depth (ties by index)."""
    T_cam_scene = camera.T_cam_scene.to(gaussians.means)
    means_cam = camera_points(gaussians.means, T_cam_scene)
    near = torch.tensor(max(camera.near, 0.0)).to(means_cam)
    ahead = torch.nonzero((means_cam[:, 2] > near) & (gaussians.opacities >= ALPHA_MIN)).squeeze(1)
    kept, means_cam = replace(gaussians, features=None).select(ahead), means_cam[ahead]
    xx, xy, yy, det = dilated_covariances(project_axes(kept, means_cam, camera))
    K = camera.K.to(means_cam)
    uv = means_cam[:, :2] / means_cam[:, 2:] * K.diagonal()[:2] + K[:2, 2]
    root_yy, root_det = torch.sqrt(yy), torch.sqrt(det)
    whitening = torch.stack([root_yy / root_det, -xy / root_yy / root_det, 1 / root_yy], -1)
    with torch.no_grad():
        # A pixel beyond the box has alpha < 1/255 for certain: the margin is far above the rounding of its edge.
        support = 2 * torch.log(kept.opacities / ALPHA_MIN).clamp(min=0)
        reach = torch.sqrt(support[:, None] * torch.stack([xx, yy], -1)) * 1.001 + 0.01
        low, high = (uv - reach).clamp(min=-FAR_PX), (uv + reach).clamp(max=FAR_PX)
        if culling == "released":
            first, last = _released_tiles(uv, xx, xy, yy)
            low, high = torch.maximum(low, first), torch.minimum(high, last)
        corner = torch.tensor([camera.width - 1, camera.height - 1]).to(uv)
        inside = ((high >= 0) & (low <= corner) & (low <= high)).all(1) & torch.isfinite(whitening).all(1)
        order = torch.argsort(means_cam[:, 2], stable=True)
        order = order[inside[order]]
    return Splats(
        index=ahead[order],
        means=uv[order],
        whitening=whitening[order],
        box=torch.cat([low, high], 1)[order],
        depths=means_cam[order, 2],
        opacities=kept.opacities[order],
        rgb=view_colors(kept, camera)[order],
        boxed=culling == "released",
    )


def _released_tiles(uv: Tensor, xx: Tensor, xy: Tensor, yy: Tensor) -> tuple[Tensor, Tensor]:
    """Return first and last pixels [N, 2] of the tiles touched by squares of 3 deviations of the longer axis."""
    longest = 0.5 * (xx + yy) + torch.sqrt((0.25 * (xx - yy) ** 2 + xy * xy).clamp(min=0.1))
    radius = torch.ceil(3 * torch.sqrt(longest))[:, None]
    first = torch.floor((uv - radius) / RELEASED_TILE) * RELEASED_TILE
    behind = torch.floor((uv + radius + RELEASED_TILE - 1) / RELEASED_TILE) * RELEASED_TILE
    return first, behind - 1
