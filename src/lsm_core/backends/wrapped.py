"""What backends around another backend share: they say of themselves what it says."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image
from lsm_core.types import ViewFeatures


class WrappedBackend(Backend):
    """A backend that hands on what it does not change.

    Args:
        backend: does the work.
        language: whether its words are handed on, too.
    """

    def __init__(self, backend: Backend, language: bool = True) -> None:
        super().__init__(backend.device)
        self.backend = backend
        self.name = backend.name
        self.has_language = language and backend.has_language
        self.embedding_dim = backend.embedding_dim if language else 0
        self.max_views = backend.max_views
        self.needs_poses = backend.needs_poses
        self.needs_intrinsics = backend.needs_intrinsics

    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        """Compute what depends on one image only; see `Backend.encode`."""
        return self.backend.encode(image, intrinsics)

    def close(self) -> None:
        """Give back device memory."""
        self.backend.close()
