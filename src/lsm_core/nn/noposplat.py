"""NoPoSplat (Ye et al. 2024, arXiv:2410.24207): views without poses to Gaussians in the first view's frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lsm_core.geometry.permuted_harmonics import degree_mask
from lsm_core.nn.croco import CrocoBackbone, CrocoConfig, ViewTokens
from lsm_core.nn.dpt import DptConfig, DptRegression, hooked
from lsm_core.nn.dust3r import exponential_points
from lsm_core.nn.gaussian_adapter import SHAPE_CHANNELS, OpacityMapping, unified_gaussians
from lsm_core.nn.intrinsics_embedding import IntrinsicsMode, ray_embedding
from lsm_core.nn.pixel_gaussians import PixelGaussians
from lsm_core.nn.precision import full_precision
from lsm_core.nn.ray_gaussians import opacity_of_probability
from lsm_core.nn.rgb_shortcut_head import RgbShortcutHead
from lsm_core.nn.shared_memory_decoder import decode_together
from lsm_core.sh import MAX_DEGREE

INTRINSICS = 9  # numbers of a matrix, row by row
OPACITY = 1
DRAWN = (MAX_DEGREE + 1) ** 2  # coefficients that a rasterizer reads


@dataclass(frozen=True)
class NoposplatConfig:
    """Sizes; the defaults are those of the releases, which differ in their values only.

    Attributes:
        croco: the backbone.
        layer_dims, feature_dim, last_dim: of the heads.
        sh_degree: of the colours; beyond 3 nothing is ever drawn.
        intrinsics: how the camera is told.
        opacity: how probabilities become opacities.
    """

    croco: CrocoConfig = field(default_factory=CrocoConfig)
    layer_dims: tuple[int, int, int, int] = (96, 192, 384, 768)
    feature_dim: int = 256
    last_dim: int = 128
    sh_degree: int = 4
    intrinsics: IntrinsicsMode = field(default_factory=IntrinsicsMode)
    opacity: OpacityMapping = field(default_factory=OpacityMapping)

    @property
    def raw_channels(self) -> int:
        """Numbers per pixel of the parameter head."""
        return OPACITY + SHAPE_CHANNELS + 3 * (self.sh_degree + 1) ** 2

    def dpt(self, reference: bool) -> DptConfig:
        """Return the sizes of a head's trunk."""
        enc, dec = self.croco.enc_dim, self.croco.dec_dim
        return DptConfig((enc, dec, dec, dec), self.layer_dims, self.feature_dim, reference=reference)


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """What depends on one image and its camera.

    Attributes:
        image: [B, 3, H, W] in [-1, 1].
        view: the encoder's output; with a camera token it is the last one.
        rays: [B, H/16 * W/16, channels] put beside the tokens before the decoder, where the mode asks for it.
    """

    image: Tensor
    view: ViewTokens
    rays: Tensor | None = None


class NoposplatBackbone(CrocoBackbone):
    """The two-stream backbone that is told the camera of each view."""

    def __init__(self, config: CrocoConfig, mode: IntrinsicsMode) -> None:
        super().__init__(config)
        self.mode = mode
        beside_image, beside_tokens = mode.channels("encoder"), mode.channels("decoder")
        if beside_image:
            patch = config.patch_size
            self.patch_embed.proj = nn.Conv2d(config.channels + beside_image, config.enc_dim, patch, patch)
        if beside_tokens:
            self.decoder_embed = nn.Linear(config.enc_dim + beside_tokens, config.dec_dim)
        if mode.kind in ("token", "linear"):
            self.intrinsic_encoder = nn.Linear(INTRINSICS, config.enc_dim)

    def encode_view(self, image: Tensor, K: Tensor) -> EncodedImage:
        """Encode images [B, 3, H, W] in [-1, 1] with normalised intrinsics [B, 3, 3]."""
        patch, (height, width) = self.config.patch_size, image.shape[2:]
        grid = (height // patch, width // patch)
        seen = image
        if self.mode.channels("encoder"):
            seen = torch.cat((image, ray_embedding(K, (height, width), self.mode.degree)), 1)
        tokens, positions = self.patch_embed(seen)
        if self.mode.kind == "token":
            below = positions.new_tensor([grid[0], 0]).expand(len(image), 1, 2)
            tokens = torch.cat((tokens, self.intrinsic_encoder(K.flatten(1))[:, None]), 1)
            view = self.encode_tokens(tokens, torch.cat((positions, below), 1))
        else:
            if self.mode.kind == "linear":
                tokens = tokens + self.intrinsic_encoder(K.flatten(1))[:, None]
            view = self.encode_tokens(tokens, positions, grid)
        rays = None
        if self.mode.channels("decoder"):
            rays = ray_embedding(K, grid, self.mode.degree).flatten(2).transpose(1, 2)
        return EncodedImage(image, view, rays)

    def embedded(self, encoded: EncodedImage) -> Tensor:
        """Return the decoder's input [B, N, dec_dim]."""
        tokens = encoded.view.tokens
        return self.decoder_embed(tokens if encoded.rays is None else torch.cat((tokens, encoded.rays), 2)).float()


class PointHead(nn.Module):
    """The centres: a DPT with three values per pixel."""

    def __init__(self, config: NoposplatConfig, reference: bool) -> None:
        super().__init__()
        self.dpt = DptRegression(config.dpt(reference), 3, config.last_dim)


class ParameterHead(nn.Module):
    """Everything but the centres."""

    def __init__(self, config: NoposplatConfig, reference: bool) -> None:
        super().__init__()
        self.dpt = RgbShortcutHead(config.dpt(reference), config.raw_channels, config.croco.channels)


class Noposplat(nn.Module):
    """Backbone and four heads: those without a number or with 1 serve view 0, those with 2 all others.

    With `reference` each view is decoded and each head runs on its own, as written down in the paper. Without, all
    views but the first share their calls and each view's keys and values are made once: the same up to rounding.
    """

    def __init__(self, config: NoposplatConfig, reference: bool = False) -> None:
        super().__init__()
        self.config, self.reference = config, reference
        self.backbone = NoposplatBackbone(config.croco, config.intrinsics)
        self.downstream_head1, self.downstream_head2 = (PointHead(config, reference) for _ in range(2))
        self.gaussian_param_head, self.gaussian_param_head2 = (ParameterHead(config, reference) for _ in range(2))
        self.masked = False

    def encode(self, image: Tensor, K: Tensor) -> EncodedImage:
        """Do the work of one view: image [B, 3, H, W] in [-1, 1], K [B, 3, 3] normalised; kept per keyframe."""
        return self.backbone.encode_view(image, K)

    def decode(self, views: Sequence[EncodedImage]) -> list[list[Tensor]]:
        """Return per view the dec_depth + 1 token sets that heads read, without the camera's token.

        Args:
            views: V >= 2 of one batch size; without `reference` also of one image size.
        """
        embedded = [self.backbone.embedded(view) for view in views]
        tokens = [view.view for view in views]
        if self.reference:
            layers = self.backbone.decode(tokens, embedded)
        else:
            layers = decode_together(self.backbone, tokens, embedded)
        count = 1 if self.config.intrinsics.kind == "token" else 0
        return [[layer[:, : layer.shape[1] - count] for layer in own] for own in layers]

    def gaussians(
        self, views: Sequence[EncodedImage], layers: Sequence[Sequence[Tensor]], step: int | None = None
    ) -> list[PixelGaussians]:
        """Run the heads.

        Args:
            views, layers: encoded, and what `decode` gave.
            step: of the training, for the mapping of opacities; None after it.

        Returns:
            Per view Gaussians [B, H, W] in view 0's frame and the model's unit.
        """
        rest = range(1, len(views))
        groups = [[v] for v in range(len(views))] if self.reference else [[0], list(rest)]
        found: list[PixelGaussians] = []
        for group in groups:
            hooks = [torch.cat(parts) for parts in zip(*(hooked(layers[v]) for v in group), strict=True)]
            image = torch.cat([views[v].image for v in group])
            found += self._split(self._heads(group[0], hooks, image, step), len(group))
        return found

    def _heads(self, view: int, hooks: Sequence[Tensor], image: Tensor, step: int | None) -> PixelGaussians:
        """Run a view's two heads on token sets [B, N, dim] and images [B, 3, H, W]."""
        centres = self.downstream_head1 if view == 0 else self.downstream_head2
        parameters = self.gaussian_param_head if view == 0 else self.gaussian_param_head2
        patch = self.config.croco.patch_size
        grid = (image.shape[2] // patch, image.shape[3] // patch)
        means = exponential_points(centres.dpt(hooks, grid).permute(0, 2, 3, 1))
        raw = parameters.dpt(hooks, grid, image).permute(0, 2, 3, 1)
        mapping = self.config.opacity
        exponent = mapping.exponent(mapping.warm_up if step is None else step)
        with full_precision(raw):
            opacities = opacity_of_probability(raw[..., 0].sigmoid(), exponent)
            return unified_gaussians(means, opacities, raw[..., OPACITY:], self.masked)

    def _split(self, joined: PixelGaussians, count: int) -> list[PixelGaussians]:
        """Return the views of a batch that holds `count` of them, one after the other."""
        parts = (joined.means, joined.scales, joined.rotations, joined.opacities, joined.sh)
        return [PixelGaussians(*view) for view in zip(*(part.chunk(count) for part in parts), strict=True)]

    def forward(self, images: Sequence[Tensor], K: Sequence[Tensor]) -> list[PixelGaussians]:
        """Predict views [B, 3, H, W] in [-1, 1] with normalised intrinsics [B, 3, 3]."""
        views = [self.encode(image, k) for image, k in zip(images, K, strict=True)]
        return self.gaussians(views, self.decode(views))

    @torch.no_grad()
    def drop_unseen_colours(self) -> int:
        """Leave the coefficients beyond degree 3 out of the last layers and put the mask of the others into them.

        No image changes (up to rounding): a rasterizer never reads what is left out. The state dict no longer has
        the checkpoint's shapes. Return how many outputs of the two heads together were dropped.
        """
        if self.masked:
            return 0
        stored, first = (self.config.sh_degree + 1) ** 2, OPACITY + SHAPE_CHANNELS
        kept = min(stored, DRAWN)
        dropped = 0
        for head in (self.gaussian_param_head, self.gaussian_param_head2):
            last = head.dpt.last
            assert last.bias is not None
            rows = [*range(first), *(first + c * stored + k for c in range(3) for k in range(kept))]
            scale = torch.cat(
                (last.weight.new_ones(first), degree_mask(math.isqrt(kept) - 1).to(last.weight).repeat(3))
            )
            dropped += last.out_channels - len(rows)
            fewer = nn.Conv2d(last.in_channels, len(rows), 1, device="meta")
            fewer.weight = nn.Parameter(last.weight[rows] * scale[:, None, None, None])
            fewer.bias = nn.Parameter(last.bias[rows] * scale)
            head.dpt.replace_last(fewer)
        self.masked = True
        return dropped
