"""What a file format must not hold is left out, and counted."""

from __future__ import annotations

import logging

import torch

from lsm_core.types import Gaussians

logger = logging.getLogger(__name__)


def finite_gaussians(gaussians: Gaussians) -> Gaussians:
    """Leave out Gaussians with a value that is not finite, a scale that is not positive, or no rotation.

    Quantised and validated formats (SPZ, .splat, glTF) cannot express these; how many there were is logged.
    """
    parts = (
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities[:, None],
        gaussians.sh.flatten(1),
    )
    good = torch.stack([torch.isfinite(part).all(1) for part in parts]).all(0)
    good &= (gaussians.scales > 0).all(1) & (gaussians.quats.norm(dim=1) > 1e-6)
    left_out = int((~good).sum())
    if not left_out:
        return gaussians
    logger.warning("%d of %d Gaussians are not finite or have no extent: left out", left_out, len(gaussians))
    return gaussians.select(good)
