"""The Large Spatial Model (Fan et al. 2024, arXiv:2410.18956): two images to Gaussians with language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.croco import ViewTokens
from lsm_core.nn.dust3r import Dust3r, Dust3rConfig, Pointmap
from lsm_core.nn.gaussian_head import SH_DEGREE, GaussianHead, MergedPoints, merge_points
from lsm_core.nn.lseg import Lseg, LsegConfig
from lsm_core.nn.pixel_gaussians import PixelGaussians
from lsm_core.nn.precision import full_precision
from lsm_core.points.ptv3 import AttentionMode, FusionConfig, PointTransformer, PointTransformerConfig

FEATURE_DIM = 64
POOL = 8  # LSeg's half-resolution map to tokens at 1/16


def default_points() -> PointTransformerConfig:
    """Return the sizes of the released point transformer."""
    return PointTransformerConfig(fusion=FusionConfig())


@dataclass(frozen=True)
class LsmConfig:
    """Sizes; the defaults are those of the release."""

    dust3r: Dust3rConfig = field(default_factory=Dust3rConfig)
    lseg: LsegConfig = field(default_factory=LsegConfig)
    points: PointTransformerConfig = field(default_factory=default_points)
    feature_dim: int = FEATURE_DIM
    sh_degree: int = SH_DEGREE


@dataclass(frozen=True, eq=False)
class EncodedView:
    """What depends on one image only.

    Attributes:
        image: [B, 3, H, W] in [-1, 1].
        geometry: DUSt3R's encoder output.
        language: [B, h * w, 512] LSeg's features pooled to the token grid.
        residual: [B, feature_dim, H, W] LSeg's features reduced and brought to full size.
    """

    image: Tensor
    geometry: ViewTokens
    language: Tensor
    residual: Tensor


@dataclass(frozen=True, eq=False)
class LsmOutput:
    """Geometry and Gaussians of a pair, per view, with what led to them."""

    pointmaps: list[Pointmap]
    gaussians: list[PixelGaussians]
    merged: MergedPoints
    point_features: Tensor


class Lsm(nn.Module):
    """DUSt3R for geometry, LSeg for language, a point transformer that fuses both.

    With `reference` LSeg's full 512-channel map is made and then pooled and reduced, as in the released code.
    Without, the linear layers behind it are joined: the same numbers up to rounding for a fraction of the work.
    """

    def __init__(self, config: LsmConfig, reference: bool = False) -> None:
        super().__init__()
        self.reference = reference
        self.dust3r = Dust3r(config.dust3r)
        self.lseg = Lseg(config.lseg)
        self.point_transformer = PointTransformer(config.points)
        self.gaussian_head = GaussianHead(config.points.dec_channels[0], config.feature_dim, config.sh_degree)
        self.feature_expansion = nn.Conv2d(config.feature_dim, config.lseg.out_dim, 1)
        self.feature_reduction = nn.Conv2d(config.lseg.out_dim, config.feature_dim, 1)

    def encode(self, image: Tensor) -> EncodedView:
        """Do the work of one image [B, 3, H, W] in [-1, 1], sides multiples of 32; kept per keyframe."""
        language, reduced = self._language(image)
        residual = F.interpolate(reduced, scale_factor=2, mode="bilinear", align_corners=False)
        return EncodedView(image, self.dust3r.encode(image), language, residual)

    def _language(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return LSeg's tokens [B, h * w, 512] and reduced map [B, feature_dim, H/2, W/2]."""
        if self.reference:
            features = self.lseg(image)
            return F.avg_pool2d(features, POOL).flatten(2).transpose(1, 2), self.feature_reduction(features)
        path = self.lseg.path(image).float()
        with full_precision(path):
            tokens = self.lseg.head1(F.avg_pool2d(path, POOL)).flatten(2).transpose(1, 2)
            return tokens, F.conv2d(path, *joined_projection(self.lseg.head1, self.feature_reduction))

    def fuse(
        self,
        views: Sequence[EncodedView],
        pointmaps: Sequence[Pointmap],
        permutations: Sequence[Tensor],
        mode: AttentionMode | None = None,
        orders: Tensor | None = None,
    ) -> LsmOutput:
        """Make Gaussians of pointmaps and what the views say.

        Args:
            views: encoded images of one size.
            pointmaps: of the views in view 0's frame.
            permutations: of the curves, see `PointTransformer.permutations`.
            mode: of the point attention.
            orders: of the first stage, see `PointTransformer.forward`.
        """
        images = [view.image for view in views]
        merged = merge_points([p.points for p in pointmaps], images)
        geometry = torch.cat([view.geometry.tokens for view in views], 1)
        language = torch.cat([view.language for view in views], 1)
        features = self.point_transformer(
            merged.features, merged.coords, merged.counts, permutations, geometry, language, mode, orders
        )
        gaussians = self.gaussian_head(features, merged, images, [view.residual for view in views])
        return LsmOutput(list(pointmaps), gaussians, merged, features)

    def forward(
        self,
        views: Sequence[EncodedView],
        permutations: Sequence[Tensor],
        mode: AttentionMode | None = None,
        orders: Tensor | None = None,
    ) -> LsmOutput:
        """Predict a pair in one order: pointmaps, then `fuse`."""
        height, width = views[0].image.shape[2:]
        pointmaps = self.dust3r.pointmaps([view.geometry for view in views], (height, width))
        return self.fuse(views, pointmaps, permutations, mode, orders)

    def expand(self, features: Tensor) -> Tensor:
        """Bring drawn features [B, feature_dim, H, W] into LSeg's space, [B, 512, H/2, W/2]."""
        halved = F.interpolate(features, scale_factor=0.5, mode="bilinear", align_corners=False)
        out: Tensor = self.feature_expansion(halved)
        return out


def joined_projection(first: nn.Conv2d, second: nn.Conv2d) -> tuple[Tensor, Tensor | None]:
    """Return weight [O, I, 1, 1] and bias [O] of two 1x1 convolutions, one after the other, as one."""
    outer, inner = second.weight[:, :, 0, 0], first.weight[:, :, 0, 0]
    biases = [] if first.bias is None else [outer @ first.bias]
    biases += [] if second.bias is None else [second.bias]
    return (outer @ inner)[..., None, None], torch.stack(biases).sum(0) if biases else None
