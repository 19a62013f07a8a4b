"""The Large Spatial Model behind the common API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Image, free_memory
from lsm_core.backends.clip_texts import ClipTexts
from lsm_core.backends.lsm_files import Backbone, build, named_place, open_files
from lsm_core.backends.numerics import Precision, attention_kernels, dense_numerics, half_dtype
from lsm_core.backends.pair_backend import Crop, PairBackend, both_orders
from lsm_core.backends.pair_geometry import CameraOptions
from lsm_core.nn.clip_text import ClipText
from lsm_core.nn.croco import ViewTokens
from lsm_core.nn.folding import fold_batch_norms
from lsm_core.nn.lseg import LOGIT_SCALE, MULTIPLE
from lsm_core.nn.lsm import EncodedView, Lsm
from lsm_core.nn.pixel_gaussians import joined
from lsm_core.nn.precision import LANGUAGE, TRUNK, store_half
from lsm_core.points.ptv3 import AttentionMode
from lsm_core.types import Prediction, ViewFeatures

DEFAULT_SEED = 0
TRAINED_COEFFICIENTS = 1  # of the colour: only the constant part was trained


@dataclass(frozen=True)
class LsmOptions:
    """How the backend works.

    Attributes:
        size: 224 or 256 for a square crop, else the long edge (512); 256 is the reference's demo.
        crop: what is cut off, see `PairBackend`.
        backbone: whose DUSt3R and LSeg are used, see `lsm_files.build`.
        reference: the slow readable twin: attention written out, batch normalisation as stored, LSeg's full map,
            one order of the views after the other. For tests and comparisons; always in float32.
        precision: of the dense part (see `nn.precision`); float32 gives the reference's numbers.
        cameras: how poses and focal lengths are recovered.
        attention: of the point transformer; the reference's kernel works in half precision.
    """

    size: int = 256
    crop: Crop = "middle"
    backbone: Backbone = "original"
    reference: bool = False
    precision: Precision = "float32"
    cameras: CameraOptions = field(default_factory=CameraOptions)
    attention: AttentionMode = field(default_factory=AttentionMode)


OPTIONS = LsmOptions


class LsmBackend(PairBackend):
    """Two views to pointmaps, Gaussians with 64 language features each, and cameras; unit "relative".

    Args:
        network: filled, in eval mode, on `device`.
        texts: CLIP's text tower, on `device`.
        device: where they run.
        options: how it works.
    """

    name = "lsm"
    has_language = True
    embedding_dim = 512
    text_logit_scale: ClassVar[float] = LOGIT_SCALE

    def __init__(
        self, network: Lsm, texts: ClipText, device: torch.device, options: LsmOptions | None = None
    ) -> None:
        self.options = options or LsmOptions()
        super().__init__(device, self.options.size, MULTIPLE, self.options.crop)
        self.network, self._texts = network, ClipTexts(texts, device)
        self._half = half_dtype(self.options.precision, self.options.reference)

    def numerics(self) -> AbstractContextManager[object]:
        """Return the context of the dense part."""
        return dense_numerics(self.device, self._half, self.options.reference)

    def _view_tensors(self, image: Tensor) -> Mapping[str, Tensor]:
        """Run DUSt3R's encoder and LSeg."""
        view = self.network.encode(image)
        return {
            "tokens": view.geometry.tokens,
            "positions": view.geometry.positions,
            "language": view.language,
            "residual": view.residual,
        }

    @torch.inference_mode()
    def predict(
        self,
        views: Sequence[Image | ViewFeatures],
        intrinsics: Sequence[Tensor | NDArray[Any] | None] | None = None,
        poses: Sequence[Tensor | NDArray[Any]] | None = None,
        generator: torch.Generator | None = None,
    ) -> Prediction:
        """Reconstruct two views in the frame of camera 0; see `Backend.predict`.

        The order in which the point transformer uses its curves is drawn, as in the reference; without a generator
        the seed is fixed, so equal input gives equal output.
        """
        first, second = self._two_views(views, intrinsics, poses)
        with self.numerics():
            pointmaps, orders = both_orders(self.network.dust3r, first, second, not self.options.reference)
        cameras = self._cameras(orders, (first, second), self.options.cameras)
        drawn = self.network.point_transformer.permutations(
            torch.Generator().manual_seed(DEFAULT_SEED) if generator is None else generator
        )
        attention = self.options.attention
        if self._half is not None and self.device.type == "cuda":
            attention = replace(attention, half=True)  # as the reference's kernel
        with attention_kernels(self.options.reference):
            found = self.network.fuse([encoded_view(v) for v in (first, second)], pointmaps, drawn, attention)
        gaussians = joined(found.gaussians, TRAINED_COEFFICIENTS)
        features = [g.features[0] for g in found.gaussians if g.features is not None]
        return self._prediction((first, second), pointmaps, cameras, gaussians, features)

    @torch.inference_mode()
    def decode_features(self, features: Tensor) -> Tensor:
        """Map language features [..., 64] to the text space [..., 512], not normalised."""
        expansion = self.network.feature_expansion
        return F.linear(features.to(self.device, torch.float32), expansion.weight[:, :, 0, 0], expansion.bias)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Embed texts with CLIP ViT-B/32: [T, 512] float32, unit norm, cached per string."""
        return self._texts.encode(texts)

    def close(self) -> None:
        """Give back device memory."""
        self._texts.close()
        free_memory(self.network)


def load(device: torch.device, weights: Path | None, options: LsmOptions | None = None) -> LsmBackend:
    """Load the three official files of a folder.

    Raises:
        WeightsError: no folder was named, a file is missing, damaged, or of another model.
    """
    weights = named_place(weights, "lsm")
    chosen = options or LsmOptions()
    half = half_dtype(chosen.precision, chosen.reference)
    network, texts = build(open_files(weights), chosen.backbone, chosen.reference)
    if not chosen.reference:
        fold_batch_norms(network)
    if half is not None:
        store_half(network.dust3r, TRUNK, half)
        store_half(network.lseg, LANGUAGE, half)
    network.requires_grad_(False)
    texts.requires_grad_(False)
    return LsmBackend(network.to(device), texts.to(device), device, chosen)


def encoded_view(view: ViewFeatures) -> EncodedView:
    """Return what the network takes of a view."""
    t = view.tensors
    return EncodedView(t["image"], ViewTokens(t["tokens"], t["positions"]), t["language"], t["residual"])
