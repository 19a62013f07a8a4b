"""Rigid motions as 4x4 matrices: exponential and logarithm, relative poses, angles, interpolation.

Twists are ordered (rho, theta): translation part first, rotation part second. Functions keep dtype and device.
"""

from __future__ import annotations

import torch
from torch import Tensor

SMALL_ANGLE = 1e-5


def hat(v: Tensor) -> Tensor:
    """Return the skew matrices [..., 3, 3] with hat(v) @ p = v x p, for v [..., 3]."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*v.shape[:-1], 3, 3)


def so3_exp(theta: Tensor) -> Tensor:
    """Return rotations [..., 3, 3] of rotation vectors [..., 3] (Rodrigues; second order below 1e-5 rad)."""
    sin_term, cos_term, _ = _coefficients(theta)
    W = hat(theta)
    return torch.eye(3).to(theta) + sin_term * W + cos_term * (W @ W)


def so3_log(R: Tensor) -> Tensor:
    """Return rotation vectors [..., 3] with angle in [0, pi] of rotations [..., 3, 3].

    Stable over the whole range: computed through the unit quaternion with the largest component as pivot.
    """
    q = _quaternion(R)
    w, v = q[..., :1], q[..., 1:]
    sign = torch.where(w < 0, -torch.ones_like(w), torch.ones_like(w))
    w, v = w * sign, v * sign
    norm = torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    angle = 2 * torch.atan2(norm, w)
    tiny = norm < 1e-7
    return torch.where(tiny, 2 * v, v * angle / torch.where(tiny, torch.ones_like(norm), norm))


def se3_exp(tau: Tensor) -> Tensor:
    """Return rigid motions [..., 4, 4] of twists [..., 6] ordered (rho, theta)."""
    rho, theta = tau[..., :3], tau[..., 3:]
    return rigid(so3_exp(theta), (_left_jacobian(theta) @ rho[..., None])[..., 0])


def se3_log(T: Tensor) -> Tensor:
    """Return twists [..., 6] ordered (rho, theta) of rigid motions [..., 4, 4] with rotation below pi."""
    theta = so3_log(T[..., :3, :3])
    rho = torch.linalg.solve(_left_jacobian(theta), T[..., :3, 3:])[..., 0]
    return torch.cat([rho, theta], -1)


def mirrored(T_world_cam: Tensor) -> Tensor:
    """Return the poses [..., 4, 4] of cameras that see the world flipped left to right, x to -x."""
    flip = torch.diag(T_world_cam.new_tensor([-1.0, 1, 1, 1]))
    return flip @ T_world_cam @ flip


def rigid(R: Tensor, t: Tensor) -> Tensor:
    """Assemble [..., 4, 4] from rotations [..., 3, 3] and translations [..., 3]."""
    T = torch.zeros(*R.shape[:-2], 4, 4, dtype=R.dtype, device=R.device)
    T[..., :3, :3] = R
    T[..., :3, 3] = t
    T[..., 3, 3] = 1
    return T


def invert(T: Tensor) -> Tensor:
    """Return the inverse of rigid motions [..., 4, 4] (transpose, no solve)."""
    R_t = T[..., :3, :3].transpose(-1, -2)
    return rigid(R_t, -(R_t @ T[..., :3, 3:])[..., 0])


def relative(T_world_a: Tensor, T_world_b: Tensor) -> Tensor:
    """Return T_a_b [..., 4, 4], which maps points of b into a."""
    return invert(T_world_a) @ T_world_b


def update_pose(T_world_cam: Tensor, tau: Tensor) -> Tensor:
    """Apply a twist on the left of world-to-camera: return the camera-to-world of Exp(tau) @ T_cam_world.

    Args:
        T_world_cam: [..., 4, 4] rigid camera-to-world.
        tau: [..., 6] ordered (rho, theta), in the camera frame.
    """
    return invert(se3_exp(tau) @ invert(T_world_cam))


def rotation_angle(R_a: Tensor, R_b: Tensor | None = None) -> Tensor:
    """Return the angle in radians [...] of a rotation, or between two ([..., 3, 3] or [..., 4, 4])."""
    R = R_a[..., :3, :3]
    if R_b is not None:
        R = R.transpose(-1, -2) @ R_b[..., :3, :3]
    return torch.linalg.vector_norm(so3_log(R), dim=-1)


def direction_angle(a: Tensor, b: Tensor) -> Tensor:
    """Return the angle in radians [...] between vectors [..., 3]; NaN where one has no length."""
    cross = torch.linalg.vector_norm(torch.linalg.cross(a, b, dim=-1), dim=-1)
    dot = (a * b).sum(-1)
    undefined = (torch.linalg.vector_norm(a, dim=-1) == 0) | (torch.linalg.vector_norm(b, dim=-1) == 0)
    return torch.where(undefined, torch.full_like(dot, torch.nan), torch.atan2(cross, dot))


def interpolate(T_a: Tensor, T_b: Tensor, fraction: float) -> Tensor:
    """Return the pose [4, 4] at a fraction of the way: shortest rotation arc, straight line of the origin."""
    R = T_a[:3, :3] @ so3_exp(fraction * so3_log(T_a[:3, :3].T @ T_b[:3, :3]))
    return rigid(R, (1 - fraction) * T_a[:3, 3] + fraction * T_b[:3, 3])


def _coefficients(theta: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return sin(a)/a, (1 - cos a)/a^2 and (a - sin a)/a^3, each [..., 1, 1], by their limits below 1e-5."""
    angle = torch.linalg.vector_norm(theta, dim=-1)[..., None, None]
    small = angle < SMALL_ANGLE
    a = torch.where(small, torch.ones_like(angle), angle)
    sin_term = torch.where(small, torch.ones_like(a), torch.sin(a) / a)
    half = torch.sin(a / 2) / a
    cos_term = torch.where(small, torch.full_like(a, 0.5), 2 * half * half)
    # a - sin(a) cancels; its series is exact to rounding below 0.1 rad in float32 and better in float64
    series = 1 / 6 - angle**2 / 120 + angle**4 / 5040 - angle**6 / 362880
    cubic_term = torch.where(angle < 0.1, series, (a - torch.sin(a)) / a**3)
    return sin_term, cos_term, cubic_term


def _left_jacobian(theta: Tensor) -> Tensor:
    """Return V(theta) [..., 3, 3], with which the translation of Exp(rho, theta) is V rho."""
    _, cos_term, cubic_term = _coefficients(theta)
    W = hat(theta)
    return torch.eye(3).to(theta) + cos_term * W + cubic_term * (W @ W)


def _quaternion(R: Tensor) -> Tensor:
    """Return unit quaternions wxyz [..., 4] of rotations, from the best conditioned of the four formulas."""
    m = R
    diag = torch.diagonal(m, dim1=-2, dim2=-1)
    xx, yy, zz = diag.unbind(-1)
    zy, xz, yx = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    yx_s, xz_s, zy_s = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    candidates = torch.stack(
        [
            torch.stack([1 + xx + yy + zz, zy, xz, yx], -1),
            torch.stack([zy, 1 + xx - yy - zz, yx_s, xz_s], -1),
            torch.stack([xz, yx_s, 1 - xx + yy - zz, zy_s], -1),
            torch.stack([yx, xz_s, zy_s, 1 - xx - yy + zz], -1),
        ],
        -2,
    )
    pivot = torch.diagonal(candidates, dim1=-2, dim2=-1).argmax(-1)
    best = torch.gather(candidates, -2, pivot[..., None, None].expand(*pivot.shape, 1, 4))[..., 0, :]
    return best / torch.linalg.vector_norm(best, dim=-1, keepdim=True)
