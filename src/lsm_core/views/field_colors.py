"""Colours for a field of language features: its three main directions as red, green and blue."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.types import Gaussians

RANGE = (0.02, 0.98)  # quantiles of the scene's features that become black and full colour
WEAKEST = 0.35  # of the strongest axis's range: less is stretched no further, it would show noise
SAMPLE = 1_000_000  # torch.quantile takes at most 2^24 values


@dataclass(frozen=True, eq=False)
class FieldPalette:
    """A map from features to colours, one for a whole scene, so that colours stay while the camera moves.

    Attributes:
        mean: [D] of the unit features.
        axes: [D, 3] principal directions, strongest first.
        low, high: [3] coordinates that become 0 and 1.
    """

    mean: Tensor
    axes: Tensor
    low: Tensor
    high: Tensor

    @staticmethod
    def of(gaussians: Gaussians) -> FieldPalette:
        """Find the palette of a scene's Gaussians: principal components of their unit features, by opacity.

        The sign of an axis is fixed by its largest entry, which is positive, and the order by the variance, so
        equal scenes get equal colours.

        Raises:
            InputError: fewer than four Gaussians or three channels.
        """
        if gaussians.features is None or len(gaussians) < 4 or gaussians.features.shape[1] < 3:
            raise InputError("Colours of a feature field need four Gaussians and three channels at least.")
        unit = torch.nn.functional.normalize(gaussians.features.detach().double().cpu(), dim=1)
        weight = gaussians.opacities.detach().double().cpu()[:, None].clamp(min=1e-6)
        mean = (weight * unit).sum(0) / weight.sum()
        centred = unit - mean
        _, vectors = torch.linalg.eigh((weight * centred).T @ centred)
        axes = vectors.flip(1)[:, :3]
        largest = axes.gather(0, axes.abs().argmax(0, keepdim=True))
        axes = axes * torch.where(largest < 0, -1.0, 1.0)
        step = max(1, len(centred) // SAMPLE)
        low, high = torch.quantile((centred @ axes)[::step], torch.tensor(RANGE, dtype=torch.float64), dim=0)
        middle, reach = (low + high) / 2, (high - low) / 2
        reach = torch.maximum(reach, (WEAKEST * reach[0]).clamp(min=1e-6))
        return FieldPalette(mean.float(), axes.float(), (middle - reach).float(), (middle + reach).float())

    def color(self, features: Tensor) -> NDArray[np.uint8]:
        """Return [..., 3] uint8 of features [..., D]; their length does not matter."""
        unit = torch.nn.functional.normalize(features.detach().float().cpu(), dim=-1)
        share = ((unit - self.mean) @ self.axes - self.low) / (self.high - self.low)
        return (255 * share.clamp(0, 1)).round().to(torch.uint8).numpy()
