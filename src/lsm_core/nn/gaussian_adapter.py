"""From raw numbers per pixel to Gaussians around points that are known: NoPoSplat's unified Gaussian adapter.

Raw channels are scale 3, quaternion 4 (x, y, z, w), harmonics colour by colour, as pixelSplat's (`ray_gaussians`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.geometry.permuted_harmonics import degree_mask
from lsm_core.nn.pixel_gaussians import PixelGaussians
from lsm_core.nn.ray_gaussians import QUATERNION_EPS

SHAPE_CHANNELS = 7  # scale and quaternion
SCALE_STEP, MAX_SCALE = 0.001, 0.3  # of the unified adapter, scene units


@dataclass(frozen=True)
class OpacityMapping:
    """How a probability becomes an opacity while training goes on, see `opacity_of_probability`.

    The exponent grows from 2^initial to 2^final over the first `warm_up` steps. The released NoPoSplat has 0, 0, 1:
    nothing is changed.
    """

    initial: float = 0.0
    final: float = 0.0
    warm_up: int = 1

    def exponent(self, step: int) -> float:
        """Return the exponent's logarithm to base 2 at a training step."""
        return self.initial + min(step / self.warm_up, 1.0) * (self.final - self.initial)


def unit_quaternions(raw: Tensor) -> Tensor:
    """Return raw quaternions [..., 4] divided by their length, in the order given."""
    return raw / (raw.norm(dim=-1, keepdim=True) + QUATERNION_EPS)


def unified_gaussians(means: Tensor, opacities: Tensor, raw: Tensor, masked: bool = False) -> PixelGaussians:
    """Make Gaussians in the frame of the means: nothing is turned by a camera, nothing depends on depth.

    Args:
        means: [..., 3] scene frame and unit.
        opacities: [...] in [0, 1].
        raw: [..., 7 + 3 K] as in the module's docstring.
        masked: the weights that made `raw` have the `degree_mask` in them already.

    Returns:
        Quaternions wxyz; coefficients [..., K, 3]; no features.
    """
    s, q, sh = raw.split((3, 4, raw.shape[-1] - SHAPE_CHANNELS), -1)
    harmonics = sh.unflatten(-1, (3, -1)).transpose(-1, -2)
    if not masked:
        harmonics = harmonics * degree_mask(math.isqrt(harmonics.shape[-2]) - 1).to(harmonics)[:, None]
    return PixelGaussians(means, unified_scales(s), unit_quaternions(q).roll(1, -1), opacities, harmonics)


def unified_scales(raw: Tensor) -> Tensor:
    """Return standard deviations of raw values, at most 0.3 scene units."""
    return (SCALE_STEP * F.softplus(raw)).clamp(max=MAX_SCALE)


def covariances(scales: Tensor, quaternions: Tensor) -> Tensor:
    """Return R S S R^T as six numbers [..., 6] (xx, xy, xz, yy, yz, zz), in closed form.

    Args:
        scales: [..., 3].
        quaternions: [..., 4] wxyz; they need not be of unit length.
    """
    w, x, y, z = quaternions.unbind(-1)
    k = 2 / (quaternions.square().sum(-1) + QUATERNION_EPS)
    rows = (
        (1 - k * (y * y + z * z), k * (x * y - w * z), k * (x * z + w * y)),
        (k * (x * y + w * z), 1 - k * (x * x + z * z), k * (y * z - w * x)),
        (k * (x * z - w * y), k * (y * z + w * x), 1 - k * (x * x + y * y)),
    )
    a, b, c = scales.square().unbind(-1)
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    return torch.stack(
        [a * rows[i][0] * rows[j][0] + b * rows[i][1] * rows[j][1] + c * rows[i][2] * rows[j][2] for i, j in pairs],
        -1,
    )


def symmetric_matrices(six: Tensor) -> Tensor:
    """Return [..., 3, 3] of the six numbers of `covariances`."""
    return six[..., torch.tensor([0, 1, 2, 1, 3, 4, 2, 4, 5], device=six.device)].unflatten(-1, (3, 3))
