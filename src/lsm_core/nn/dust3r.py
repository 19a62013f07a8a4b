"""DUSt3R (Wang et al. 2024, arXiv:2312.14132): two images to two pointmaps in the first camera's frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.croco import CrocoBackbone, CrocoConfig, ViewTokens
from lsm_core.nn.dpt import DptConfig, DptRegression, hooked
from lsm_core.nn.precision import full_precision

DepthMode = Literal["exp", "linear", "square"]
ConfidenceMode = Literal["exp", "sigmoid"]


@dataclass(frozen=True)
class Dust3rConfig:
    """Sizes of a DUSt3R; the defaults are those of the 512 dpt release.

    Attributes:
        croco: the backbone.
        layer_dims, feature_dim, last_dim: of the DPT heads.
        head: "dpt", or "linear": one linear layer per token.
        depth, confidence, confidence_range: how raw values become points and confidence.
        reference: the DPT heads work in the released order, see `nn.dpt.FusionBlock`.
    """

    croco: CrocoConfig = field(default_factory=CrocoConfig)
    layer_dims: tuple[int, int, int, int] = (96, 192, 384, 768)
    feature_dim: int = 256
    last_dim: int = 128
    head: Literal["dpt", "linear"] = "dpt"
    depth: DepthMode = "exp"
    confidence: ConfidenceMode = "exp"
    confidence_range: tuple[float, float] = (1.0, float("inf"))
    reference: bool = False

    def dpt(self) -> DptConfig:
        """Return the sizes of a head's trunk."""
        enc, dec = self.croco.enc_dim, self.croco.dec_dim
        return DptConfig((enc, dec, dec, dec), self.layer_dims, self.feature_dim, reference=self.reference)


@dataclass(frozen=True, eq=False)
class Pointmap:
    """Points [B, H, W, 3] in camera 0's frame (model units) and confidence [B, H, W] > 0."""

    points: Tensor
    confidence: Tensor


class LinearHead(nn.Module):
    """Each last token becomes the 4 values of its patch's pixels."""

    def __init__(self, dim: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Linear(dim, 4 * patch_size**2)

    def forward(self, layers: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Return [B, 4, H, W]."""
        with full_precision(layers[-1]):
            values = self.proj(layers[-1].float()).transpose(1, 2).unflatten(2, grid)
        return F.pixel_shuffle(values, self.patch_size)


class DptHead(nn.Module):
    """A DPT on the hooked layers; x, y, z and confidence unless told otherwise."""

    def __init__(self, config: Dust3rConfig, channels: int = 4) -> None:
        super().__init__()
        self.dpt = DptRegression(config.dpt(), channels, config.last_dim)

    def forward(self, layers: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Return [B, channels, H, W]."""
        return self.dpt(hooked(layers), grid)


class Dust3r(CrocoBackbone):
    """Backbone and the two heads: `downstream_head1` for view 0, `downstream_head2` for the others."""

    sizes: Dust3rConfig

    def __init__(self, config: Dust3rConfig) -> None:
        super().__init__(config.croco)
        self.sizes = config
        self.downstream_head1 = self._head()
        self.downstream_head2 = self._head()

    def _head(self) -> nn.Module:
        if self.sizes.head == "linear":
            return LinearHead(self.sizes.croco.dec_dim, self.sizes.croco.patch_size)
        return DptHead(self.sizes)

    def head(self, view: int, layers: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Return the raw output [B, 4, H, W] of a view's head, in float32.

        Args:
            view: its number.
            layers: its token sets, as `decode` gives them.
            size: (H, W) of the image.
        """
        return self.head_of(view)(layers, self.grid(size))

    def head_of(self, view: int) -> nn.Module:
        """Return the head of a view."""
        return self.downstream_head1 if view == 0 else self.downstream_head2

    def grid(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return rows and columns of tokens of an image of (H, W)."""
        patch = self.sizes.croco.patch_size
        return size[0] // patch, size[1] // patch

    def pointmap(self, raw: Tensor) -> Pointmap:
        """Return points and confidence from a head's raw output [B, 4, H, W]."""
        return pointmap_from_raw(raw, self.sizes.depth, self.sizes.confidence, self.sizes.confidence_range)

    def pointmaps(self, views: Sequence[ViewTokens], size: tuple[int, int]) -> list[Pointmap]:
        """Return the pointmaps [B, H, W, 3] of encoded views of one size (H, W) in view 0's frame.

        The batch may hold several orders of the same views.
        """
        layers = self.decode(views)
        return [self.pointmap(self.head(v, layers[v], size)) for v in range(len(views))]

    def forward(self, images: Sequence[Tensor]) -> list[Pointmap]:
        """Predict pointmaps of views [B, 3, H, W] in [-1, 1], sides multiples of the patch; sizes may differ."""
        layers = self.decode([self.encode(image) for image in images])
        sizes = [(image.shape[2], image.shape[3]) for image in images]
        return [self.pointmap(self.head(v, layers[v], size)) for v, size in enumerate(sizes)]


def pointmap_from_raw(
    raw: Tensor,
    depth: DepthMode = "exp",
    confidence: ConfidenceMode = "exp",
    confidence_range: tuple[float, float] = (1.0, float("inf")),
) -> Pointmap:
    """Turn raw values [B, 4, H, W] into points and confidence.

    Points keep the direction of the raw vector; its length d becomes expm1(d), d squared or d. Confidence is
    low + exp(c), at most high, or a sigmoid between low and high.
    """
    values = raw.permute(0, 2, 3, 1)
    vector, c = values[..., :3], values[..., 3]
    if depth == "linear":
        points = vector
    else:
        points = exponential_points(vector) if depth == "exp" else vector * vector.norm(dim=-1, keepdim=True)
    return Pointmap(points, confidence_from_raw(c, confidence, confidence_range))


def exponential_points(vector: Tensor) -> Tensor:
    """Return points in the direction of raw vectors [..., 3], at the distance expm1 of their length."""
    length = vector.norm(dim=-1, keepdim=True)
    return vector / length.clamp(min=1e-8) * torch.expm1(length)


def confidence_from_raw(raw: Tensor, mode: ConfidenceMode, limits: tuple[float, float]) -> Tensor:
    """Turn raw values into confidence: low + exp(c), at most high, or a sigmoid between low and high."""
    low, high = limits
    if mode == "exp":
        return low + raw.exp().clamp(max=high - low)
    return low + (high - low) * torch.sigmoid(raw)
