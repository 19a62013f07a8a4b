"""The language of a whole backend as a semantic source: lsm-tiny's head beside another model's geometry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from lsm_core.backends import tiny
from lsm_core.backends.base import Backend, Image
from lsm_core.backends.semantic_source import SemanticMap, SemanticSource
from lsm_core.errors import UnsupportedError
from lsm_core.geometry import resize_affine


class ModelSemantics(SemanticSource):
    """Pairs each image with itself and keeps what the model says of it in words.

    Args:
        model: a backend with language features.

    Raises:
        UnsupportedError: it has none.
    """

    def __init__(self, model: Backend) -> None:
        super().__init__(model.device)
        if not model.has_language:
            raise UnsupportedError(f"'{model.name}' has no language features.", "Use lsm-tiny, or lseg.")
        self.model = model
        self.name = model.name  # type: ignore[misc]  # of the class elsewhere

    @property
    def embedding_dim(self) -> int:
        """Width of the model's text space."""
        return self.model.embedding_dim

    @property
    def text_logit_scale(self) -> float:
        """What the model states."""
        return float(self.model.text_logit_scale)  # type: ignore[attr-defined]

    @torch.inference_mode()
    def encode(self, image: Image) -> SemanticMap:
        """Compute the features of an image."""
        view = self.model.encode(image)
        found = self.model.predict([view, view])
        assert found.features is not None
        features, (h, w) = found.features[0], found.pointmaps[0].shape[:2]
        to_grid = resize_affine((int(features.shape[0]), int(features.shape[1])), (int(h), int(w)))
        affine = found.grid_to_image[0].cpu() @ to_grid.to(torch.float32)
        return SemanticMap(features.half(), affine, found.image_sizes[0])

    def decode_features(self, features: Tensor) -> Tensor:
        """Map features into the model's text space."""
        return self.model.decode_features(features)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as the model does."""
        return self.model.encode_texts(texts)

    def close(self) -> None:
        """Give back device memory."""
        self.model.close()


def load(device: torch.device, weights: Path | None) -> ModelSemantics:
    """Load lsm-tiny for its words, with the packaged weights or those of a file or folder.

    Raises:
        WeightsError: missing, damaged, or of another network.
    """
    return ModelSemantics(tiny.load(device, weights))
