"""Depth as a distribution over buckets of relative disparity (pixelSplat, Charatan et al. 2024, section 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

EPS = 1e-10


@dataclass(frozen=True, eq=False)
class BucketChoice:
    """Buckets that were chosen, per ray; S surfaces, G choices.

    Attributes:
        index: [..., S, G] int64.
        depth: [..., S, G] distance along the unit ray.
        opacity: [..., S, G] probability of the bucket.
    """

    index: Tensor
    depth: Tensor
    opacity: Tensor


def depth_from_relative_disparity(relative: Tensor, near: Tensor, far: Tensor, eps: float = EPS) -> Tensor:
    """Return the depth of a relative disparity: 0 is near, 1 is far; all broadcast."""
    near_disparity, far_disparity = 1 / (near + eps), 1 / (far + eps)
    return 1 / ((1 - relative) * (near_disparity - far_disparity) + far_disparity + eps)


def relative_disparity_from_depth(depth: Tensor, near: Tensor, far: Tensor, eps: float = EPS) -> Tensor:
    """Return the inverse of `depth_from_relative_disparity`."""
    near_disparity, far_disparity = 1 / (near + eps), 1 / (far + eps)
    return 1 - (1 / (depth + eps) - far_disparity) / (near_disparity - far_disparity + eps)


def split_logits(raw: Tensor, surfaces: int) -> tuple[Tensor, Tensor]:
    """Split a head's output [..., B * S * 2], laid out (bucket, surface, {logit, offset}).

    Returns:
        Probabilities and offsets in the bucket, both [..., S, B] in (0, 1).
    """
    logits, offsets = raw.unflatten(-1, (-1, surfaces, 2)).transpose(-2, -3).unbind(-1)
    return logits.softmax(-1), offsets.sigmoid()


def most_probable(probabilities: Tensor, count: int) -> Tensor:
    """Return the indices [..., count] of the most probable buckets of [..., B]."""
    return probabilities.topk(count, dim=-1).indices


def sampled(probabilities: Tensor, uniform: Tensor) -> Tensor:
    """Return buckets drawn from [..., B] with numbers [..., G] from the unit interval; repeats may come."""
    last = probabilities.shape[-1] - 1
    normalised = probabilities / (torch.finfo(probabilities.dtype).eps + probabilities.sum(-1, keepdim=True))
    cumulative = normalised.cumsum(-1)
    return torch.searchsorted(cumulative, uniform.contiguous(), right=True).clamp(max=last)


def choose(
    probabilities: Tensor,
    offsets: Tensor,
    index: Tensor,
    near: Tensor,
    far: Tensor,
    use_transmittance: bool = False,
    eps: float = EPS,
) -> BucketChoice:
    """Return depth and opacity of chosen buckets.

    Args:
        probabilities, offsets: [..., S, B].
        index: [..., S, G].
        near, far: broadcast to the index.
        use_transmittance: the opacity is the probability given that no nearer bucket holds the surface; no
            released model uses it.
        eps: added to what is divided by.
    """
    relative = (index + offsets.gather(-1, index)) / probabilities.shape[-1]
    opacity = probabilities
    if use_transmittance:
        before = probabilities.cumsum(-1) - probabilities
        opacity = probabilities / (1 - before + eps)
    return BucketChoice(index, depth_from_relative_disparity(relative, near, far, eps), opacity.gather(-1, index))
