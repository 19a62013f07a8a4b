"""Any backend with its poses refined photometrically after each prediction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image
from lsm_core.backends.wrapped import WrappedBackend
from lsm_core.geometry.pose_refinement import RefineOptions
from lsm_core.geometry.refined_prediction import RefineMethod, refine_prediction
from lsm_core.nn.lpips import Lpips
from lsm_core.types import Prediction, ViewFeatures
from lsm_core.weights.lpips_package import available_lpips


class RefiningBackend(WrappedBackend):
    """A backend whose poses are made to fit its own Gaussians; see `refine_prediction`.

    Args:
        backend: gives everything else.
        method: "adam" or "gauss-newton".
        options: of Adam.
        lpips: the perceptual term of Adam's loss; None leaves it out.
    """

    def __init__(
        self,
        backend: Backend,
        method: RefineMethod = "adam",
        options: RefineOptions | None = None,
        lpips: Lpips | None = None,
    ) -> None:
        super().__init__(backend)
        self.method, self.options, self.lpips = method, options, lpips

    def __getattr__(self, name: str) -> Any:
        """Return what the backend has beside the common API, such as its text temperature."""
        if name == "backend":
            raise AttributeError(name)
        return getattr(self.backend, name)

    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct and refine the poses; see `Backend.predict`."""
        found = self.backend.predict(views, intrinsics, poses, generator)
        return refine_prediction(found, self.method, self.options, self.lpips)

    def decode_features(self, features: Tensor) -> Tensor:
        """Map features into the backend's text space."""
        return self.backend.decode_features(features)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as the backend does."""
        return self.backend.encode_texts(texts)


def with_refinement(backend: Backend, method: RefineMethod, patience: int | None = None) -> RefiningBackend:
    """Return a backend with refined poses, with LPIPS in Adam's loss where its weights are installed."""
    lpips = available_lpips(backend.device) if method == "adam" else None
    return RefiningBackend(backend, method, RefineOptions(patience=patience), lpips)
