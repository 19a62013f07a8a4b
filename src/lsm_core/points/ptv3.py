"""Point Transformer V3 (Wu et al. 2024, arXiv:2312.10035) with LSM's fusion of image tokens.

Submodules carry the names of the released checkpoint. The reference's decoder has a quirk that its weights were
trained with: the first block of each decoder stage convolves the skip features alone, not their sum with what comes
from below. It is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.transformer import Mlp
from lsm_core.points.fusion import FusionBlock
from lsm_core.points.patch_attention import PatchAttention
from lsm_core.points.point_set import PointSet, max_over_clusters, pooled, serialized
from lsm_core.points.serialization import ORDERS
from lsm_core.points.sparse_conv import SubmanifoldConv

NORM_EPS = 1e-5
BATCH_NORM_EPS = 1e-3


@dataclass(frozen=True)
class FusionConfig:
    """Image tokens: widths of geometry and language tokens, heads at the bottleneck and after the first decoder."""

    geometry_dim: int = 1024
    language_dim: int = 512
    heads: int = 8
    decoder_heads: int = 4


@dataclass(frozen=True)
class PointTransformerConfig:
    """Sizes; the defaults are those of LSM.

    Attributes:
        in_channels: of a point.
        grid_size: edge of a voxel.
        enc_*, dec_*: per stage, finest first: blocks, channels, heads, points per patch.
        strides: of the poolings.
        curves: the space-filling curves that the blocks take in turn.
        stem_size, cpe_size: of the sparse convolutions.
        fusion: of image tokens.
    """

    in_channels: int = 6
    grid_size: float = 0.01
    enc_depths: tuple[int, ...] = (1, 1, 1, 3, 1)
    enc_channels: tuple[int, ...] = (32, 64, 128, 256, 512)
    enc_heads: tuple[int, ...] = (2, 4, 8, 16, 32)
    enc_patches: tuple[int, ...] = (1024,) * 5
    dec_depths: tuple[int, ...] = (1, 1, 1, 1)
    dec_channels: tuple[int, ...] = (64, 64, 128, 256)
    dec_heads: tuple[int, ...] = (4, 4, 8, 16)
    dec_patches: tuple[int, ...] = (1024,) * 4
    strides: tuple[int, ...] = (2,) * 4
    curves: tuple[str, ...] = ORDERS
    stem_size: int = 5
    cpe_size: int = 3
    fusion: FusionConfig | None = None

    @property
    def stages(self) -> int:
        """Number of resolutions."""
        return len(self.enc_depths)

    def encoder(self) -> list[StageSizes]:
        """Return the sizes of the encoder's stages."""
        rows = zip(self.enc_depths, self.enc_heads, self.enc_patches, strict=True)
        return [StageSizes(*row, self.cpe_size) for row in rows]

    def decoder(self) -> list[StageSizes]:
        """Return the sizes of the decoder's stages."""
        rows = zip(self.dec_depths, self.dec_heads, self.dec_patches, strict=True)
        return [StageSizes(*row, self.cpe_size) for row in rows]


@dataclass(frozen=True)
class StageSizes:
    """Number of blocks of a stage, heads, points per patch, edge of the convolution."""

    depth: int
    heads: int
    patch: int
    cpe_size: int


@dataclass(frozen=True)
class AttentionMode:
    """How patches attend, see `PatchAttention.forward`."""

    half: bool = False
    shared_size: bool = False


class Block(nn.Module):
    """x += LN(linear(conv(x))); x += attention(LN x); x += mlp(LN x)."""

    def __init__(self, dim: int, heads: int, patch: int, cpe_size: int) -> None:
        super().__init__()
        self.cpe = nn.ModuleList(
            (SubmanifoldConv(dim, dim, cpe_size), nn.Linear(dim, dim), nn.LayerNorm(dim, eps=NORM_EPS))
        )
        self.norm1 = nn.Sequential(nn.LayerNorm(dim, eps=NORM_EPS))
        self.attn = PatchAttention(dim, heads, patch)
        self.norm2 = nn.Sequential(nn.LayerNorm(dim, eps=NORM_EPS))
        self.mlp = nn.Sequential(Mlp(dim, 4 * dim))

    def forward(
        self, points: PointSet, curve: int, mode: AttentionMode, convolved: Tensor | None = None
    ) -> PointSet:
        """Apply the block along one of the curves; `convolved` replaces the input of the convolution."""
        x = points.features
        position = self.cpe[0](x if convolved is None else convolved, points.voxels)
        x = x + self.cpe[2](self.cpe[1](position))
        x = x + self.attn(self.norm1(x), points.orders[curve], points.counts, mode.half, mode.shared_size)
        return points.with_features(x + self.mlp(self.norm2(x)))


class Stem(nn.Module):
    """Sparse convolution, batch normalisation, GELU."""

    def __init__(self, in_channels: int, dim: int, size: int) -> None:
        super().__init__()
        self.conv = SubmanifoldConv(in_channels, dim, size, bias=False)
        self.norm: nn.Module = nn.BatchNorm1d(dim, eps=BATCH_NORM_EPS, momentum=0.01)

    def forward(self, points: PointSet) -> PointSet:
        """Embed the features."""
        return points.with_features(F.gelu(self.norm(self.conv(points.features, points.voxels))))


class Down(nn.Module):
    """Pool to a coarser grid: linear, maximum over the cluster, batch normalisation, GELU."""

    def __init__(self, in_dim: int, dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.proj = nn.Linear(in_dim, dim)
        self.norm = nn.Sequential(nn.BatchNorm1d(dim, eps=BATCH_NORM_EPS, momentum=0.01))

    def forward(self, points: PointSet, permutation: Tensor) -> tuple[PointSet, Tensor]:
        """Return the coarser points and the cluster of each finer one."""
        found = pooled(points, permutation, self.stride)
        highest = max_over_clusters(self.proj(points.features), found.cluster, len(found.points.batch))
        return found.points.with_features(F.gelu(self.norm(highest))), found.cluster


class Up(nn.Module):
    """Bring coarse features back to the finer points and add the skip features."""

    def __init__(self, in_dim: int, skip_dim: int, dim: int) -> None:
        super().__init__()
        self.proj = projection(in_dim, dim)
        self.proj_skip = projection(skip_dim, dim)

    def forward(self, coarse: Tensor, skip: PointSet, cluster: Tensor) -> tuple[PointSet, Tensor]:
        """Return the finer points with the sum, and the skip part alone [N, dim]."""
        own = self.proj_skip(skip.features)
        return skip.with_features(own + self.proj(coarse)[cluster]), own


class Stage(nn.Module):
    """The blocks of one resolution; they take the curves in turn."""

    def __init__(self, dim: int, sizes: StageSizes) -> None:
        super().__init__()
        self.depth = sizes.depth
        for i in range(sizes.depth):
            self.add_module(f"block{i}", Block(dim, sizes.heads, sizes.patch, sizes.cpe_size))

    def blocks(self, points: PointSet, mode: AttentionMode, convolved: Tensor | None = None) -> PointSet:
        """Apply all blocks; `convolved` is what the first one convolves instead of the points' features."""
        for i in range(self.depth):
            curve = i % len(points.orders)
            points = getattr(self, f"block{i}")(points, curve, mode, convolved if i == 0 else None)
        return points


class EncoderStage(Stage):
    """Pool, then blocks."""

    def __init__(self, in_dim: int, dim: int, stride: int, sizes: StageSizes) -> None:
        super().__init__(dim, sizes)
        self.down = Down(in_dim, dim, stride)

    def forward(self, points: PointSet, permutation: Tensor, mode: AttentionMode) -> tuple[PointSet, Tensor]:
        """Return the coarser points and the cluster of each finer one."""
        coarser, cluster = self.down(points, permutation)
        return self.blocks(coarser, mode), cluster


class DecoderStage(Stage):
    """Unpool, then blocks; the first convolves the skip features alone (see the module's text)."""

    def __init__(self, in_dim: int, skip_dim: int, dim: int, sizes: StageSizes) -> None:
        super().__init__(dim, sizes)
        self.up = Up(in_dim, skip_dim, dim)

    def forward(self, coarse: Tensor, skip: PointSet, cluster: Tensor, mode: AttentionMode) -> PointSet:
        """Return the finer points."""
        points, own = self.up(coarse, skip, cluster)
        return self.blocks(points, mode, own)


class PointTransformer(nn.Module):
    """Encoder and decoder over points, with image tokens fused in where the configuration has them."""

    def __init__(self, config: PointTransformerConfig) -> None:
        super().__init__()
        self.config = config
        widths, above = config.enc_channels, (*config.dec_channels, config.enc_channels[-1])
        self.embedding = nn.ModuleDict({"stem": Stem(config.in_channels, widths[0], config.stem_size)})
        encoder, decoder = config.encoder(), config.decoder()
        self.enc = nn.ModuleDict({"enc0": Stage(widths[0], encoder[0])})
        for s in range(1, config.stages):
            self.enc[f"enc{s}"] = EncoderStage(widths[s - 1], widths[s], config.strides[s - 1], encoder[s])
        self.dec = nn.ModuleDict()
        for s in reversed(range(config.stages - 1)):
            self.dec[f"dec{s}"] = DecoderStage(above[s + 1], widths[s], above[s], decoder[s])
        if config.fusion is not None:
            self._add_fusion(config.fusion, widths[-1], config.dec_channels[-1])

    def _add_fusion(self, fusion: FusionConfig, dim: int, decoder_dim: int) -> None:
        self.dust_feat_proj = nn.Linear(fusion.geometry_dim, dim)
        self.decoder_block_dust = FusionBlock(dim, fusion.heads)
        self.lseg_feat_proj = nn.Linear(fusion.language_dim, dim)
        self.decoder_block_lseg = FusionBlock(dim, fusion.heads)
        self.multi_scale_proj = nn.Linear(fusion.language_dim, decoder_dim)
        self.decoder_block_multi_scale = FusionBlock(decoder_dim, fusion.decoder_heads)

    def permutations(self, generator: torch.Generator | None = None) -> list[Tensor]:
        """Draw the order of the curves for each stage; the reference draws at inference, too."""
        curves = len(self.config.curves)
        return [torch.randperm(curves, generator=generator) for _ in range(self.config.stages)]

    def forward(
        self,
        features: Tensor,
        coords: Tensor,
        counts: Sequence[int],
        permutations: Sequence[Tensor],
        geometry_tokens: Tensor | None = None,
        language_tokens: Tensor | None = None,
        mode: AttentionMode | None = None,
        orders: Tensor | None = None,
        seen: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Transform point features.

        Args:
            features: [N, in_channels].
            coords: [N, 3].
            counts: points of each sample.
            permutations: of the O curves, one [O] per stage.
            geometry_tokens, language_tokens: [B, L, dim] where the configuration has fusion.
            mode: of the attention.
            orders: [O, N] of the first stage instead of sorting.
            seen: gets the outputs of the stages by name, for tests.

        Returns:
            [N, dec_channels[0]].
        """
        mode, seen = mode or AttentionMode(), {} if seen is None else seen
        config = self.config
        points = serialized(features, coords, counts, config.grid_size, permutations[0], orders, config.curves)
        seen |= {"first.codes": points.codes, "first.orders": points.orders, "first.grid": points.grid}
        points, skips = self._encode(points, permutations, mode, seen)
        x = self._fuse(points, geometry_tokens, language_tokens, seen)
        for s in reversed(range(self.config.stages - 1)):
            points = self.dec[f"dec{s}"](x, *skips[s], mode)
            x = seen[f"dec{s}"] = points.features
            if s == self.config.stages - 2 and self.config.fusion is not None and language_tokens is not None:
                x = self.decoder_block_multi_scale(x, points.counts, self.multi_scale_proj(language_tokens))
                seen["decoder_block_multi_scale"] = x
        return x

    def _encode(
        self, points: PointSet, permutations: Sequence[Tensor], mode: AttentionMode, seen: dict[str, Tensor]
    ) -> tuple[PointSet, list[tuple[PointSet, Tensor]]]:
        """Return the coarsest points, and per pooling the finer points and their clusters."""
        points = self.embedding["stem"](points)
        seen["embedding"] = points.features
        first = self.enc["enc0"]
        assert isinstance(first, Stage)
        points = first.blocks(points, mode)
        seen["enc0"] = points.features
        skips = []
        for s in range(1, self.config.stages):
            finer = points
            points, cluster = self.enc[f"enc{s}"](finer, permutations[s], mode)
            skips.append((finer, cluster))
            seen[f"enc{s}"] = points.features
        return points, skips

    def _fuse(
        self, points: PointSet, geometry: Tensor | None, language: Tensor | None, seen: dict[str, Tensor]
    ) -> Tensor:
        """Let the coarsest points attend to the image tokens; return their features."""
        x = points.features
        if self.config.fusion is None or geometry is None or language is None:
            return x
        x = seen["decoder_block_dust"] = self.decoder_block_dust(x, points.counts, self.dust_feat_proj(geometry))
        x = seen["decoder_block_lseg"] = self.decoder_block_lseg(x, points.counts, self.lseg_feat_proj(language))
        return x


def projection(in_dim: int, dim: int) -> nn.Sequential:
    """Return linear, batch normalisation, GELU."""
    return nn.Sequential(nn.Linear(in_dim, dim), nn.BatchNorm1d(dim, eps=BATCH_NORM_EPS, momentum=0.01), nn.GELU())
