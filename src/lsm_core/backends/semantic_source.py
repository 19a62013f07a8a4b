"""A semantic source: what gives language features of single images, beside or without a geometry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from lsm_core.backends.base import Image
from lsm_core.geometry import apply_affine, pixel_grid
from lsm_core.types import Prediction, QueryResult


@dataclass(frozen=True, eq=False)
class SemanticMap:
    """Language features of one image.

    Attributes:
        features: [h, w, D] float16, of the source's own grid.
        grid_to_image: [3, 3] float32 affine, pixel of that grid -> pixel of the image given.
        image_size: (height, width) of the image given.
    """

    features: Tensor
    grid_to_image: Tensor
    image_size: tuple[int, int]


def nearest_features(prediction: Prediction, view: int) -> tuple[Tensor, Tensor]:
    """Return row and column [h, w] of the feature nearest to each pixel of a view's model grid.

    For features on a grid of their own; both affines lead to the image given.
    """
    assert prediction.features is not None and prediction.feature_to_image is not None
    h, w = (int(n) for n in prediction.pointmaps[view].shape[:2])
    rows, columns = prediction.features[view].shape[:2]
    to_features = torch.linalg.inv(prediction.feature_to_image[view].double().cpu())
    affine = (to_features @ prediction.grid_to_image[view].double().cpu()).float()
    at = apply_affine(affine, pixel_grid(h, w)).round().long()
    return at[..., 1].clamp(0, rows - 1), at[..., 0].clamp(0, columns - 1)


class SemanticSource(ABC):
    """A model that says of each pixel of an image what it shows, in a space that texts have a place in.

    Attributes:
        name: registry name.
        device: where the weights live.
        embedding_dim: width of the text space.
    """

    name: ClassVar[str]
    has_language: ClassVar[bool] = True

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    @abstractmethod
    def embedding_dim(self) -> int:
        """Width of the text space."""

    @property
    @abstractmethod
    def text_logit_scale(self) -> float:
        """Inverse temperature of the softmax over texts that the features were trained with."""

    @abstractmethod
    def encode(self, image: Image) -> SemanticMap:
        """Compute the features of an image [H, W, 3] uint8 RGB.

        Raises:
            InputError: it is no such image.
        """

    @abstractmethod
    def decode_features(self, features: Tensor) -> Tensor:
        """Map features [..., D] into the text space [..., E], not normalised."""

    @abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts in that space, unit norm float32 [T, E], cached per string."""

    def query(self, images: Sequence[Image | SemanticMap], texts: Sequence[str], **options: Any) -> QueryResult:
        """Find texts in images, or in maps that `encode` made of them; see `lsm_core.query.query_maps`."""
        from lsm_core.query import query_maps  # the query package builds on the backends

        maps = [image if isinstance(image, SemanticMap) else self.encode(image) for image in images]
        return query_maps(self, maps, texts, **options)

    def close(self) -> None:
        """Give back device memory; the source cannot be used afterwards."""
