"""From raw numbers per pixel to Gaussians on its ray: pixelSplat's Gaussian adapter (specification, section 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.geometry.disparity_bounds import pixel_footprint
from lsm_core.geometry.epipolar import world_rays

SCALE_PER_PIXEL = 0.1
QUATERNION_EPS = 1e-8
OFFSETS, SCALES, QUATERNION = 2, 3, 4


@dataclass(frozen=True)
class ScaleRange:
    """Least and largest standard deviation, in units of a tenth of a pixel's span at the Gaussian's depth."""

    least: float = 0.5
    most: float = 15.0


@dataclass(frozen=True, eq=False)
class RayGaussians:
    """Gaussians of N pixels of each view, G on a ray; what the G share is kept once.

    Attributes:
        means: [B, V, N, G, 3] in the world.
        scales: [B, V, N, G, 3] standard deviations.
        rotations: [B, V, N, 4] xyzw, unit norm, in the camera's frame.
        harmonics: [B, V, N, 3, K] raw coefficients, of the camera, not masked.
    """

    means: Tensor
    scales: Tensor
    rotations: Tensor
    harmonics: Tensor


def ray_gaussians(
    raw: Tensor,
    xy: Tensor,
    depth: Tensor,
    T_world_cam: Tensor,
    K: Tensor,
    size: tuple[int, int],
    scale_range: ScaleRange,
) -> RayGaussians:
    """Place Gaussians.

    Args:
        raw: [B, V, N, 3 + 4 + 3 K]: scale, quaternion xyzw, harmonics by colour.
        xy: [B, V, N, 2] normalised.
        depth: [B, V, N, G] along the unit ray.
        T_world_cam: [B, V, 4, 4].
        K: [B, V, 3, 3] normalised.
        size: (height, width) of the image.
        scale_range: of the scales.
    """
    scales, quaternions, harmonics = raw.split((SCALES, QUATERNION, raw.shape[-1] - SCALES - QUATERNION), -1)
    origins, directions = world_rays(xy, T_world_cam, K)
    means = origins[..., None, :] + directions[..., None, :] * depth[..., None]
    span = SCALE_PER_PIXEL * pixel_footprint(K, size).sum(-1)[..., None, None, None]
    relative = scale_range.least + (scale_range.most - scale_range.least) * scales.sigmoid()
    rotations = quaternions / (quaternions.norm(dim=-1, keepdim=True) + QUATERNION_EPS)
    return RayGaussians(
        means, relative[..., None, :] * depth[..., None] * span, rotations, harmonics.unflatten(-1, (3, -1))
    )


def shifted_centres(offsets: Tensor, centres: Tensor, size: tuple[int, int]) -> Tensor:
    """Return pixel centres [N, 2] moved within their pixels by raw offsets [..., N, 2]."""
    height, width = size
    return centres + (offsets.sigmoid() - 0.5) / centres.new_tensor([width, height])


def opacity_of_probability(probability: Tensor, exponent: float = 0.0) -> Tensor:
    """Map the probability of a bucket to an opacity: 0.5 (1 - (1 - p)^e + p^(1/e)) with e = 2^exponent.

    Training raises the exponent from one value to another; the released models end at 0, the identity.
    """
    if exponent == 0:
        return probability
    e = 2.0**exponent
    return 0.5 * (1 - (1 - probability) ** e + probability ** (1 / e))


def covariances(gaussians: RayGaussians, T_world_cam: Tensor) -> Tensor:
    """Return [B, V, N, G, 3, 3] in the world."""
    x, y, z, w = gaussians.rotations.unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    R = torch.stack([torch.stack(row, -1) for row in rows], -2)
    half = (T_world_cam[:, :, None, :3, :3] @ R)[:, :, :, None] * gaussians.scales[..., None, :]
    return half @ half.mT
