"""Leave out Gaussians that are not finite before anything is drawn, and say how many."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from lsm_core.types import Gaussians

logger = logging.getLogger(__name__)


def finite_gaussians(gaussians: Gaussians, features: bool) -> tuple[Gaussians, Tensor | None]:
    """Drop Gaussians with a NaN or infinity in them, with one warning that counts them.

    Args:
        gaussians: N of them.
        features: whether their features count, too.

    Returns:
        The finite ones and their indices [M] int64; the same object and None where all are finite.
    """
    parts = [gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.sh]
    if features and gaussians.features is not None:
        parts.append(gaussians.features)
    parts = [part.detach() for part in parts]
    # A finite sum has finite terms; only where one is not (or overflows) is every number looked at.
    if bool(torch.isfinite(torch.stack([part.sum() for part in parts])).all()):
        return gaussians, None
    finite = torch.stack(
        [torch.isfinite(part.flatten(1) if part.ndim > 1 else part[:, None]).all(1) for part in parts]
    )
    kept = torch.nonzero(finite.all(0)).squeeze(1)
    if len(kept) == len(gaussians):
        return gaussians, None
    logger.warning(
        "%d of %d Gaussians are not finite and are not drawn.", len(gaussians) - len(kept), len(gaussians)
    )
    return gaussians.select(kept), kept
