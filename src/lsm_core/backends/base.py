"""The contract every backend fulfils: encode one image, predict from several, answer texts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lsm_core.errors import InputError, UnsupportedError
from lsm_core.types import Camera, Prediction, QueryResult, ViewFeatures

if TYPE_CHECKING:
    from lsm_core.query import ScoredTexts

Image = NDArray[np.uint8]
NO_LANGUAGE_FIX = (
    "Use a backend with language features (lsm-tiny, lsm), or give this one a semantic source: "
    "semantics='lseg' in Python, --semantics lseg, or semantics.source:=lseg for the node (or lsm-tiny)."
)


class Backend(ABC):
    """A model behind the stable API of docs/conventions.md.

    Attributes:
        name: registry name.
        device: where the weights live.
        has_language: whether predictions carry language features.
        embedding_dim: width of the text space that `decode_features` maps into, 0 without language.
        max_views: the most views that `predict` takes.
        needs_poses: whether `predict` must be given `poses`; backends that need none refuse them.
        needs_intrinsics: whether every view must come with intrinsics.
    """

    name: str
    has_language: bool = False
    embedding_dim: int = 0
    max_views: int = 2
    needs_poses: bool = False
    needs_intrinsics: bool = False

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @abstractmethod
    def encode(self, image: Image, intrinsics: Tensor | NDArray[Any] | None = None) -> ViewFeatures:
        """Compute what depends on one image only.

        Args:
            image: [H, W, 3] uint8 RGB.
            intrinsics: 3x3 in pixels of `image`, or None when unknown.
        """

    @abstractmethod
    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct V >= 2 views in the frame of camera 0.

        Args:
            views: images [H, W, 3] uint8 RGB, or features from `encode` of the same backend.
            intrinsics: per view 3x3 in pixels of the image given, or None; ignored for ViewFeatures,
                which carry their own.
            poses: per view T_cam0_cam_i; only backends that need poses read them, the others raise.
            generator: source of randomness where the model samples; fixed seed by default.

        Raises:
            InputError: wrong shapes, dtypes, too few or too many views, features of another backend.
            UnsupportedError: poses given to a backend that does not read them.
        """

    def decode_features(self, features: Tensor) -> Tensor:
        """Map language features [..., D] into the text space [..., E], not normalised.

        Raises:
            UnsupportedError: the backend has no language features.
        """
        raise self._no_language()

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts in the space of `decode_features`, unit norm float32 [T, E], cached per string.

        Raises:
            UnsupportedError: the backend has no language features.
        """
        raise self._no_language()

    def query(
        self, prediction: Prediction, texts: Sequence[str], camera: Camera | None = None, **options: Any
    ) -> QueryResult:
        """Find texts in a prediction's views, or in the view of a free camera.

        A convenience over `lsm_core.query.query_prediction`, imported here because the query package builds on
        the backends.

        Raises:
            UnsupportedError: the backend has no language features.
            QueryError: a text is empty, too long or malformed.
        """
        if not self.has_language:
            raise self._no_language()
        from lsm_core.query import query_prediction

        return query_prediction(self, prediction, texts, camera=camera, **options)

    def score_texts(self, prediction: Prediction, texts: Sequence[str], **options: Any) -> ScoredTexts:
        """Score texts in a prediction's views, without the way to pixels: the first and dear part of `query`.

        Raises:
            UnsupportedError: the backend has no language features.
            QueryError: a text is empty, too long or malformed.
        """
        if not self.has_language:
            raise self._no_language()
        from lsm_core.query import score_prediction

        return score_prediction(self, prediction, texts, **options)

    def close(self) -> None:
        """Give back device memory; the backend cannot be used afterwards."""

    def _no_language(self) -> UnsupportedError:
        return UnsupportedError(
            f"Backend '{self.name}' has no language features, so it cannot answer text queries.",
            NO_LANGUAGE_FIX,
        )


def check_image(image: object) -> Image:
    """Return the image if it is uint8 RGB [H, W, 3] with sides of 16 to 16384 pixels; InputError otherwise."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        shape = getattr(image, "shape", None)
        raise InputError(
            f"An image must be a uint8 RGB array [H, W, 3], got {type(image).__name__} {shape} "
            f"{getattr(image, 'dtype', '')}.",
            _way_to_rgb(image),
        )
    if not all(16 <= side <= 16384 for side in image.shape[:2]):
        raise InputError(f"Image size {image.shape[1]}x{image.shape[0]} is outside 16 to 16384 pixels.")
    return image


def _way_to_rgb(image: object) -> str:
    """Return how to make an RGB image of what was given."""
    if isinstance(image, np.ndarray) and image.ndim in (2, 3) and image.dtype == np.uint8:
        if image.ndim == 2 or image.shape[2] == 1:
            return "It is grey: numpy.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)."
        if image.shape[2] == 4:
            return "Its fourth channel is transparency: image[..., :3]."
    if isinstance(image, np.ndarray) and image.dtype.kind == "f":
        return "For values from 0 to 1: (image * 255).round().clip(0, 255).astype('uint8'), and no NaN among them."
    return "Convert it, for example with numpy.asarray(PIL.Image.open(path).convert('RGB'))."


def check_intrinsics(K: Tensor | NDArray[Any] | None) -> Tensor | None:
    """Return intrinsics as float32 [3, 3] on the CPU, or None; InputError when malformed."""
    if K is None:
        return None
    out = torch.as_tensor(np.asarray(K), dtype=torch.float32).cpu()
    if out.shape != (3, 3) or not bool(torch.isfinite(out).all()) or not (out[0, 0] > 0 and out[1, 1] > 0):
        raise InputError("Intrinsics must be a finite 3x3 matrix with positive focal lengths in pixels.")
    return out


def encoded_views(
    backend: Backend,
    views: Sequence[Image | ViewFeatures],
    intrinsics: Sequence[Tensor | NDArray[Any] | None] | None,
) -> list[ViewFeatures]:
    """Return views encoded by a backend; images are encoded here, with their intrinsics where given.

    Raises:
        InputError: fewer than two views or more than the backend takes, not as many intrinsics, or features of
            another backend.
    """
    name, most = backend.name, backend.max_views
    if not 2 <= len(views) <= most:
        takes = "two views" if most == 2 else f"2 to {most} views"
        raise InputError(f"{name} takes {takes}, got {len(views)}.", f"Pass {takes} at a time.")
    if intrinsics is not None and len(intrinsics) != len(views):
        raise InputError(f"{len(intrinsics)} intrinsics for {len(views)} views.", "Pass one per view, or None.")
    encoded = []
    for index, view in enumerate(views):
        if not isinstance(view, ViewFeatures):
            encoded.append(backend.encode(view, None if intrinsics is None else intrinsics[index]))
        elif view.backend != name:
            raise InputError(f"These view features were made by '{view.backend}'.", f"Encode with {name}.")
        else:
            encoded.append(view)
    return encoded


def encoded_pair(
    backend: Backend,
    views: Sequence[Image | ViewFeatures],
    intrinsics: Sequence[Tensor | NDArray[Any] | None] | None,
) -> tuple[ViewFeatures, ViewFeatures]:
    """Return two views encoded by a backend that takes two; see `encoded_views`."""
    first, second = encoded_views(backend, views, intrinsics)
    return first, second


def free_memory(network: nn.Module) -> None:
    """Give back the memory of a network, which cannot be used afterwards."""
    network.to("meta")
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
