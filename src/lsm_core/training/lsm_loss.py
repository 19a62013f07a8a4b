"""LSM's losses on drawn views (released code of arXiv:2410.18956): colour and language features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class TargetView:
    """One view as drawn and as it should be.

    Attributes:
        rgb: [3, H, W] drawn colours.
        features: [D, H, W] drawn language features.
        image: [3, H, W] the true image in [0, 1].
    """

    rgb: Tensor
    features: Tensor
    image: Tensor


def photometric_loss(views: Sequence[TargetView]) -> Tensor:
    """Return the mean absolute difference of colours, over all views."""
    return torch.stack([(view.rgb - view.image).abs().mean() for view in views]).mean()


def feature_loss(
    views: Sequence[TargetView], expand: Callable[[Tensor], Tensor], teacher: Callable[[Tensor], Tensor]
) -> Tensor:
    """Return the mean of 1 - cosine between expanded drawn features and the teacher's of the true image.

    Args:
        views: all of one size.
        expand: [1, D, H, W] -> [1, C, H/2, W/2].
        teacher: [1, 3, H, W] -> [1, C, H/2, W/2]; as in the release it sees the image in [0, 1], not in [-1, 1].
    """
    parts = []
    for view in views:
        with torch.no_grad():
            wanted = teacher(view.image[None])
        parts.append(1 - F.cosine_similarity(expand(view.features[None]), wanted, dim=1).mean())
    return torch.stack(parts).mean()
