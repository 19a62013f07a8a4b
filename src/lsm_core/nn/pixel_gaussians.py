"""Gaussians as a network gives them, one per pixel of each view, and as one set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.types import Gaussians


@dataclass(frozen=True, eq=False)
class PixelGaussians:
    """One Gaussian per pixel of one view; tensors start with [B, H, W].

    Attributes:
        means: [.., 3] in camera 0's frame, model units.
        scales: [.., 3] standard deviations, model units.
        rotations: [.., 4] unit quaternions, wxyz as the rasterizer reads them.
        opacities: [..] in [0, 1].
        sh: [.., K, 3] coefficients by degree.
        features: [.., D] language features, None where the model has none.
    """

    means: Tensor
    scales: Tensor
    rotations: Tensor
    opacities: Tensor
    sh: Tensor
    features: Tensor | None = None


def joined(views: Sequence[PixelGaussians], coefficients: int | None = None, sample: int = 0) -> Gaussians:
    """Return the Gaussians of all views as one set, in the order (view, row, column).

    Args:
        views: of a batch.
        coefficients: of the colour that are kept, the lowest first; all by default.
        sample: of the batch.
    """
    features = [v.features[sample].flatten(0, 1) for v in views if v.features is not None]
    return Gaussians(
        torch.cat([v.means[sample].flatten(0, 1) for v in views]),
        torch.cat([v.rotations[sample].flatten(0, 1) for v in views]),
        torch.cat([v.scales[sample].flatten(0, 1) for v in views]),
        torch.cat([v.opacities[sample].flatten() for v in views]),
        torch.cat([v.sh[sample, ..., :coefficients, :].flatten(0, 1) for v in views]),
        torch.cat(features) if features else None,
    )
