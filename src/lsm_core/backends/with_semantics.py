"""One backend's geometry with a semantic source's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend, Image, encoded_views
from lsm_core.backends.semantic_source import SemanticSource, nearest_features
from lsm_core.backends.wrapped import WrappedBackend
from lsm_core.errors import UnsupportedError
from lsm_core.types import Camera, Gaussians, Prediction, QueryResult, ViewFeatures

FEATURES, TO_IMAGE = "semantics", "semantics_to_image"  # what is added to the tensors of a view


class SemanticBackend(WrappedBackend):
    """A backend whose language features come from a semantic source; its own, if any, are left out.

    Features stay on the source's grid (`Prediction.feature_to_image`). Gaussians get theirs when a free camera asks
    (`with_gaussian_features`): kept for every Gaussian they would be the largest part of a prediction.

    Args:
        geometry: gives everything but words.
        source: gives the words; on the same device.
    """

    def __init__(self, geometry: Backend, source: SemanticSource) -> None:
        super().__init__(geometry)
        self.source = source
        self.name = f"{geometry.name}+{source.name}"
        self.has_language, self.embedding_dim = True, source.embedding_dim

    @property
    def text_logit_scale(self) -> float:
        """What the source states."""
        return self.source.text_logit_scale

    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        """Compute what depends on one image only, of both models."""
        view = self.backend.encode(image, intrinsics)
        seen = self.source.encode(image)
        added = {FEATURES: seen.features, TO_IMAGE: seen.grid_to_image}
        return replace(view, backend=self.name, tensors={**view.tensors, **added})

    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct with the geometry's backend; the features are the source's. See `Backend.predict`."""
        encoded = encoded_views(self, views, intrinsics)
        plain = [replace(view, backend=self.backend.name) for view in encoded]
        found = self.backend.predict(plain, poses=poses, generator=generator)
        return replace(
            found,
            backend=self.name,
            features=[view.tensors[FEATURES] for view in encoded],
            feature_to_image=[view.tensors[TO_IMAGE] for view in encoded],
            gaussians=None if found.gaussians is None else replace(found.gaussians, features=None),
        )

    def decode_features(self, features: Tensor) -> Tensor:
        """Map features into the source's text space."""
        return self.source.decode_features(features)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as the source does."""
        return self.source.encode_texts(texts)

    def query(
        self, prediction: Prediction, texts: Sequence[str], camera: Camera | None = None, **options: Any
    ) -> QueryResult:
        """Find texts in a prediction's views, or in the view of a free camera; see `Backend.query`."""
        if camera is not None:
            prediction = self.with_gaussian_features(prediction)
        return super().query(prediction, texts, camera, **options)

    def with_gaussian_features(self, prediction: Prediction) -> Prediction:
        """Return the prediction with language features on its Gaussians, those of the pixels they came from.

        Raises:
            UnsupportedError: the Gaussians are not those of the views' pixels.
        """
        gaussians = prediction.gaussians
        if gaussians is None or gaussians.features is not None:
            return prediction
        return replace(prediction, gaussians=replace(gaussians, features=_pixel_features(prediction, gaussians)))

    def close(self) -> None:
        """Give back device memory."""
        super().close()
        self.source.close()


def _pixel_features(prediction: Prediction, gaussians: Gaussians) -> Tensor:
    """Return [N, D] float32: the feature nearest to the pixel of each Gaussian; they are in order of the pixels."""
    assert prediction.features is not None
    each, parts, found = prediction.gaussians_per_pixel(), list[Tensor](), 0
    for view in range(prediction.views if each else 0):
        if found == len(gaussians):
            break  # a view without a pose may have given none
        row, column = (index.to(gaussians.means.device) for index in nearest_features(prediction, view))
        pixels = prediction.features[view].to(gaussians.means.device)[row, column].flatten(0, 1).float()
        parts.append(pixels.repeat_interleave(each, 0))
        found += each * row.numel()
    if found != len(gaussians):
        raise UnsupportedError(
            f"These {len(gaussians)} Gaussians are not those of the views' pixels, so their words are not known.",
            "Ask on the input views.",
        )
    return torch.cat(parts)
