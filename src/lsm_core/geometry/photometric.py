"""How far a drawn view is from its image: squared error, LPIPS and structure, as NoPoSplat weighs them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lsm_core.errors import InputError
from lsm_core.nn.lpips import MIN_SIDE, Lpips
from lsm_core.nn.ssim import WINDOW, moments, structure


@dataclass(frozen=True)
class PhotometricWeights:
    """Weights of mean squared error, LPIPS, and one minus the structure term of SSIM; 0 leaves a term out."""

    mse: float = 1.0
    lpips: float = 0.05
    structure: float = 1.0


POSE_WEIGHTS = PhotometricWeights()  # NoPoSplat's search for a pose
ALIGN_WEIGHTS = PhotometricWeights(structure=0.0)  # and its alignment of target views


class PhotometricTarget:
    """An image that drawn views are compared with; what depends on it alone is computed once.

    Args:
        image: [H, W, 3] float in [0, 1].
        weights: of the terms.
        lpips: on the image's device; without it that term is off.

    Raises:
        InputError: the image is not RGB, or smaller than the windows of the terms that are on.
    """

    def __init__(self, image: Tensor, weights: PhotometricWeights, lpips: Lpips | None = None) -> None:
        least = max(WINDOW if weights.structure else 1, MIN_SIDE if lpips and weights.lpips else 1)
        if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < least:
            raise InputError(f"A target must be [H, W, 3] with sides of {least} or more, got {tuple(image.shape)}.")
        self.weights = weights
        self.image = _planes(image.detach())
        self._moments = moments(self.image) if weights.structure else None
        self._lpips = lpips if weights.lpips else None
        self._features = None if self._lpips is None else self._lpips.features(self.image)

    @property
    def uses_lpips(self) -> bool:
        """Whether LPIPS is part of the loss."""
        return self._lpips is not None

    def loss(self, drawn: Tensor) -> Tensor:
        """Return the weighted sum of the terms, a scalar, of a drawn image [H, W, 3]."""
        image = _planes(drawn)
        loss = self.weights.mse * ((image - self.image) ** 2).mean()
        if self._lpips is not None and self._features is not None:
            distance = self._lpips.distance(self._lpips.features(image), self._features)
            loss = loss + self.weights.lpips * distance.mean()
        if self._moments is not None:
            loss = loss + self.weights.structure * (1 - structure(moments(image), self._moments))
        return loss


def _planes(image: Tensor) -> Tensor:
    """Return [1, 3, H, W]."""
    return image.permute(2, 0, 1)[None].contiguous()
