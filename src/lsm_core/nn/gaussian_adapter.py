"""From raw numbers per pixel to Gaussians, as pixelSplat and NoPoSplat share it.

Raw channels are scale 3, quaternion 4 (x, y, z, w), harmonics colour by colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lsm_core.nn.gaussian_head import PixelGaussians

SHAPE_CHANNELS = 7  # scale and quaternion
SCALE_STEP, MAX_SCALE = 0.001, 0.3  # of the unified adapter, scene units
QUATERNION_EPS = 1e-8


@dataclass(frozen=True)
class OpacityMapping:
    """How a probability becomes an opacity while training goes on.

    The exponent grows from 2^initial to 2^final over the first `warm_up` steps. The released NoPoSplat has 0, 0, 1:
    nothing is changed.
    """

    initial: float = 0.0
    final: float = 0.0
    warm_up: int = 1

    def exponent(self, step: int) -> float:
        """Return the exponent at a training step."""
        return float(2.0 ** (self.initial + min(step / self.warm_up, 1.0) * (self.final - self.initial)))


def mapped_opacity(probability: Tensor, exponent: float) -> Tensor:
    """Return 0.5 * (1 - (1 - p)^e + p^(1/e)) of probabilities in [0, 1]; the identity for e = 1."""
    if exponent == 1.0:
        return probability
    return 0.5 * (1 - (1 - probability) ** exponent + probability ** (1 / exponent))


def harmonics_mask(count: int, like: Tensor) -> Tensor:
    """Return the weight of each coefficient, [count]: 1, then 0.1 * 0.25^degree."""
    degree = torch.arange(count, device=like.device).sqrt().floor().to(like.dtype)
    return torch.where(degree == 0, 1.0, 0.1 * 0.25**degree)


def unit_quaternions(raw: Tensor) -> Tensor:
    """Return raw quaternions [..., 4] divided by their length, in the order given."""
    return raw / (raw.norm(dim=-1, keepdim=True) + QUATERNION_EPS)


def unified_gaussians(means: Tensor, opacities: Tensor, raw: Tensor, masked: bool = False) -> PixelGaussians:
    """Make Gaussians in the frame of the means: nothing is turned by a camera, nothing depends on depth.

    Args:
        means: [..., 3] scene frame and unit.
        opacities: [...] in [0, 1].
        raw: [..., 7 + 3 K] as in the module's docstring.
        masked: the weights that made `raw` have `harmonics_mask` in them already.

    Returns:
        Quaternions wxyz; coefficients [..., K, 3]; no features.
    """
    s, q, sh = raw.split((3, 4, raw.shape[-1] - SHAPE_CHANNELS), -1)
    harmonics = sh.unflatten(-1, (3, -1)).transpose(-1, -2)
    if not masked:
        harmonics = harmonics * harmonics_mask(harmonics.shape[-2], raw)[:, None]
    empty = means.new_zeros(*means.shape[:-1], 0)
    return PixelGaussians(means, unified_scales(s), unit_quaternions(q).roll(1, -1), opacities, harmonics, empty)


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
