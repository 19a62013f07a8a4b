"""A backend behind the device watch: every call that uses the device goes through it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image
from lsm_core.backends.wrapped import WrappedBackend
from lsm_core.query import ScoredTexts
from lsm_core.types import Camera, Prediction, QueryResult, ViewFeatures
from lsm_perception.device_watch import DeviceWatch


class GuardedBackend(WrappedBackend):
    """Hands every call to another backend, under a DeviceWatch."""

    def __init__(self, backend: Backend, watch: DeviceWatch) -> None:
        super().__init__(backend)
        self._watch = watch

    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        return self._watch.run(lambda: self.backend.encode(image, intrinsics))

    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        return self._watch.run(lambda: self.backend.predict(views, intrinsics, poses, generator))

    def decode_features(self, features: Tensor) -> Tensor:
        return self._watch.run(lambda: self.backend.decode_features(features))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        return self._watch.run(lambda: self.backend.encode_texts(texts))

    def query(
        self, prediction: Prediction, texts: Sequence[str], camera: Camera | None = None, **options: Any
    ) -> QueryResult:
        return self._watch.run(lambda: self.backend.query(prediction, texts, camera, **options))

    def score_texts(self, prediction: Prediction, texts: Sequence[str], **options: Any) -> ScoredTexts:
        return self._watch.run(lambda: self.backend.score_texts(prediction, texts, **options))
