"""MASt3R (Leroy et al. 2024, arXiv:2406.09756): DUSt3R with a second kind of head, local features for matching."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.dust3r import ConfidenceMode, DptHead, Dust3r, Dust3rConfig, confidence_from_raw
from lsm_core.nn.precision import full_precision
from lsm_core.nn.transformer import Mlp

HIDDEN_RATIO = 4  # of the descriptor MLP


@dataclass(frozen=True)
class DescriptorConfig:
    """Local features; the defaults are those of the metric release.

    Attributes:
        dim: of a pixel's vector.
        own_confidence: descriptors have a confidence of their own; else it is the points'.
        confidence, confidence_range: how raw values become that, see `nn.dust3r.confidence_from_raw`.
    """

    dim: int = 24
    own_confidence: bool = True
    confidence: ConfidenceMode = "exp"
    confidence_range: tuple[float, float] = (0.0, float("inf"))

    @property
    def channels(self) -> int:
        """Values of a pixel."""
        return self.dim + int(self.own_confidence)


@dataclass(frozen=True)
class Mast3rConfig(Dust3rConfig):
    """Sizes of a MASt3R; the defaults are those of the metric 512 release (head `catmlp+dpt`).

    Attributes:
        descriptor: of the local features; None leaves their layers out (117 million parameters in the release).
    """

    descriptor: DescriptorConfig | None = field(default_factory=DescriptorConfig)


@dataclass(frozen=True, eq=False)
class Descriptors:
    """Local features of an image: vectors [B, H, W, D] of unit length, confidence [B, H, W] > 0."""

    vectors: Tensor
    confidence: Tensor


class Mast3rHead(DptHead):
    """Points from a DPT; local features from an MLP on the first and the last tokens, a patch each."""

    def __init__(self, config: Mast3rConfig) -> None:
        super().__init__(config)
        self.patch_size = config.croco.patch_size
        if config.descriptor is not None:
            width = config.croco.enc_dim + config.croco.dec_dim
            values = config.descriptor.channels * self.patch_size**2
            self.head_local_features = Mlp(width, HIDDEN_RATIO * width, values)

    def local_features(self, layers: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Return raw local features [B, channels, H, W] in float32."""
        tokens = torch.cat((layers[0], layers[-1]), -1).float()
        with full_precision(tokens):
            values = self.head_local_features(tokens).transpose(1, 2).unflatten(2, grid)
        return F.pixel_shuffle(values, self.patch_size)


class Mast3r(Dust3r):
    """DUSt3R whose heads can describe pixels, too; that work is only done when asked for."""

    sizes: Mast3rConfig

    def __init__(self, config: Mast3rConfig) -> None:
        super().__init__(config)

    def _head(self) -> nn.Module:
        return Mast3rHead(self.sizes)

    def descriptors(
        self, view: int, layers: Sequence[Tensor], size: tuple[int, int], confidence: Tensor | None = None
    ) -> Descriptors:
        """Describe the pixels of a view.

        Args:
            view: its number.
            layers: its token sets, as `decode` gives them.
            size: (H, W) of the image.
            confidence: [B, H, W] of its points, for descriptors that have none of their own.
        """
        stated, head = self.sizes.descriptor, self.head_of(view)
        assert stated is not None and isinstance(head, Mast3rHead)
        raw = head.local_features(layers, self.grid(size)).permute(0, 2, 3, 1)
        vectors = raw[..., : stated.dim]
        if stated.own_confidence:
            confidence = confidence_from_raw(raw[..., stated.dim], stated.confidence, stated.confidence_range)
        assert confidence is not None
        return Descriptors(vectors / vectors.norm(dim=-1, keepdim=True), confidence)
