"""Training poses with the error that an estimated pose will have.

The epipolar step of the network sees, when it is used, a pose found from matches and the network's
own first depth. Here the true pose is pulled to what such a solver would find: a few Gauss-Newton
steps on the reprojection error of the predicted points against true correspondences with noise.
Its errors then agree with the epipolar lines in the way an estimated pose's do.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.nn.tiny.epipolar import project, transform
from lsm_core.training.config import PoseNoise
from lsm_core.training.targets import Correspondences

ROBUST_PX = 3.0
STEPS = 3


def estimated_pose(
    T_other_self: Tensor,
    points: Tensor,
    intrinsics: Tensor,
    targets: Correspondences,
    log_scale: Tensor,
    noise: PoseNoise,
    cell: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return a pose as a solver would estimate it, in the unit of the predicted depth.

    Args:
        T_other_self: [2B, 4, 4] true, metres; the second half inverts the first.
        points: [2B, N, 3] the network's first points at the cells, own camera.
        intrinsics: [2B, 3, 3] px.
        targets: where the cells truly lie in the other view.
        log_scale: [B] ln(predicted / true depth).
        noise: match noise, and the share of pairs that get no pose.
        cell: px per cell.
        generator: CPU source of noise.

    Returns:
        T_other_self [2B, 4, 4] estimated, has_pose [2B] bool.
    """
    T = T_other_self.chunk(2)[0].clone()
    count = T.shape[0]
    T[:, :3, 3] *= log_scale.exp()[:, None]
    K_1 = intrinsics.chunk(2)[1]
    X, target, weight = (x.chunk(2)[0] for x in (points, targets.cell_xy, targets.visible.float()))
    pixels = target * cell + (cell - 1) / 2.0
    pixels = pixels + noise.match_px * torch.randn(pixels.shape, generator=generator).to(pixels.device)
    used = torch.rand(weight.shape, generator=generator).to(weight.device) < noise.matched
    for _ in range(STEPS):
        T = gauss_newton_step(T, X, pixels, weight * used, K_1)
    has = torch.rand(count, generator=generator).to(T.device) >= noise.dropped
    has = has & (weight.sum(1) >= 12) & torch.isfinite(T).flatten(1).all(1)
    T = torch.where(has[:, None, None], T, torch.eye(4, device=T.device))
    return torch.cat((T, torch.linalg.inv(T))), torch.cat((has, has))


def gauss_newton_step(T: Tensor, X: Tensor, pixels: Tensor, weight: Tensor, K: Tensor) -> Tensor:
    """Move poses [B, 4, 4] one robust Gauss-Newton step towards pixels [B, N, 2] of points [B, N, 3]."""
    P = transform(T, X)
    predicted, z = project(P, K)
    residual = predicted - pixels
    usable = (z > 0.1) & (residual.norm(dim=-1) < 100)
    w = weight * usable / (1 + residual.square().sum(-1) / ROBUST_PX**2)
    z = z.clamp_min(0.1)
    fx, fy = K[:, 0, 0, None] / z, K[:, 1, 1, None] / z
    zero = torch.zeros_like(z)
    x, y = P[..., 0] / z, P[..., 1] / z
    d_point = torch.stack((fx, zero, -fx * x, zero, fy, -fy * y), dim=-1).unflatten(-1, (2, 3))
    d_motion = torch.cat((torch.eye(3, device=X.device).expand(*X.shape[:2], 3, 3), -_skew(P)), dim=-1)
    J = d_point @ d_motion  # [B, N, 2, 6]
    JW = J * w[..., None, None]
    A = torch.einsum("bnij,bnik->bjk", JW, J)
    A = A + torch.diag_embed(1e-3 * A.diagonal(dim1=1, dim2=2) + 1e-3)
    b = torch.einsum("bnij,bni->bj", JW, residual)
    delta = torch.linalg.solve(A, -b).clamp(-0.5, 0.5)
    twist = torch.zeros_like(T)
    twist[:, :3, :3], twist[:, :3, 3] = _skew(delta[:, 3:]), delta[:, :3]
    return torch.linalg.matrix_exp(twist) @ T


def _skew(v: Tensor) -> Tensor:
    """Return cross-product matrices [..., 3, 3] of vectors [..., 3]."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))
