"""Any backend without its language: geometry alone, and a typed "unsupported" for every query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image
from lsm_core.backends.wrapped import WrappedBackend
from lsm_core.types import Prediction, ViewFeatures


class WordlessBackend(WrappedBackend):
    """A backend whose language features are left out.

    Args:
        backend: gives the geometry.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend, language=False)

    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct without language; see `Backend.predict`."""
        found = self.backend.predict(views, intrinsics, poses, generator)
        scene = None if found.gaussians is None else replace(found.gaussians, features=None)
        return replace(found, features=None, feature_to_image=None, gaussians=scene)
