"""Dense prediction from transformer tokens (DPT: Ranftl et al. 2021, arXiv:2103.13413).

Submodules carry the names of the released checkpoints. The trunk serves DUSt3R's heads (no normalisation) and
LSeg's (batch normalisation); what comes after `path_1` differs and lives with its model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.precision import full_precision

# stored twice in the released files, under both names
ALIASES = {f"scratch.layer_rn.{i}.weight": f"scratch.layer{i + 1}_rn.weight" for i in range(4)}
# stored, never used: the deepest fusion block has one input only
UNUSED_PREFIX = "scratch.refinenet4.resConfUnit1."


@dataclass(frozen=True)
class DptConfig:
    """Sizes of a DPT.

    Attributes:
        token_dims: width of the tokens at the four hooks.
        layer_dims: channels after reassembling, at 1/4, 1/8, 1/16 and 1/32 of the image.
        feature_dim: channels of the fusion blocks.
        batch_norm: LSeg's kind of fusion block.
        reference: keep the released order of interpolation and projection, see `FusionBlock`.
    """

    token_dims: tuple[int, int, int, int] = (1024, 768, 768, 768)
    layer_dims: tuple[int, int, int, int] = (96, 192, 384, 768)
    feature_dim: int = 256
    batch_norm: bool = False
    reference: bool = False


class ResidualConvUnit(nn.Module):
    """x + conv(relu(conv(relu(x)))), with batch normalisation after each convolution where asked for."""

    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=not batch_norm)
        self.bn1 = nn.BatchNorm2d(channels) if batch_norm else nn.Identity()
        self.bn2 = nn.BatchNorm2d(channels) if batch_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map [B, C, h, w] to the same shape."""
        out = self.bn1(self.conv1(F.relu(x)))
        return x + self.bn2(self.conv2(F.relu(out)))


class FusionBlock(nn.Module):
    """Add a skip map to the path from below, refine, double the size, project.

    A 1x1 convolution and an interpolation may be swapped: done first, the convolution sees a quarter of the pixels.
    With `reference` it comes last, as in the released code.
    """

    def __init__(self, channels: int, batch_norm: bool, has_skip: bool, reference: bool = False) -> None:
        super().__init__()
        self.reference = reference
        if has_skip:
            self.resConfUnit1 = ResidualConvUnit(channels, batch_norm)
        self.resConfUnit2 = ResidualConvUnit(channels, batch_norm)
        self.out_conv = nn.Conv2d(channels, channels, 1)

    def forward(self, path: Tensor, skip: Tensor | None = None) -> Tensor:
        """Return [B, C, 2h, 2w] from a path [B, C, h, w] and a skip map of its size."""
        if skip is not None:
            path = path + self.resConfUnit1(skip)
        refined = self.resConfUnit2(path)
        return self.out_conv(doubled(refined)) if self.reference else doubled(self.out_conv(refined))


class Scratch(nn.Module):
    """Projection of the four maps to one width, and the fusion blocks."""

    def __init__(self, config: DptConfig) -> None:
        super().__init__()
        for i, dim in enumerate(config.layer_dims, 1):
            setattr(self, f"layer{i}_rn", nn.Conv2d(dim, config.feature_dim, 3, padding=1, bias=False))
        for i in range(1, 4):
            setattr(self, f"refinenet{i}", _fusion(config, has_skip=True))
        self.refinenet4 = _fusion(config, has_skip=False)

    def paths(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Fuse four maps, fine to coarse; return path_4 to path_1, the last at half the image's size."""
        skips = [getattr(self, f"layer{i}_rn")(m) for i, m in enumerate(maps, 1)]
        deepest: Tensor = self.refinenet4(skips[3])
        paths = [deepest[..., : skips[2].shape[2], : skips[2].shape[3]]]
        for i in (3, 2, 1):
            paths.append(getattr(self, f"refinenet{i}")(paths[-1], skips[i - 1]))
        return paths


def _fusion(config: DptConfig, has_skip: bool) -> FusionBlock:
    return FusionBlock(config.feature_dim, config.batch_norm, has_skip, config.reference)


def reassembly(config: DptConfig) -> nn.ModuleList:
    """Return the layers that bring the four token maps to 1/4, 1/8, 1/16 and 1/32 of the image."""
    (t0, t1, t2, t3), (d0, d1, d2, d3) = config.token_dims, config.layer_dims
    return nn.ModuleList(
        (
            nn.Sequential(nn.Conv2d(t0, d0, 1), nn.ConvTranspose2d(d0, d0, 4, 4)),
            nn.Sequential(nn.Conv2d(t1, d1, 1), nn.ConvTranspose2d(d1, d1, 2, 2)),
            nn.Sequential(nn.Conv2d(t2, d2, 1)),
            nn.Sequential(nn.Conv2d(t3, d3, 1), nn.Conv2d(d3, d3, 3, 2, 1)),
        )
    )


class DptTrunk(nn.Module):
    """From four token maps to path_1."""

    def __init__(self, config: DptConfig) -> None:
        super().__init__()
        self.act_postprocess = reassembly(config)
        self.scratch = Scratch(config)

    def trunk(self, tokens: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Fuse tokens.

        Args:
            tokens: four of [B, h * w, token_dim], row-major.
            grid: (h, w), the image's size over 16.

        Returns:
            path_1, [B, feature_dim, 8h, 8w].
        """
        maps = [t.transpose(1, 2).unflatten(2, grid) for t in tokens]
        return self.paths(maps)[-1]

    def paths(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Reassemble and fuse four token maps [B, token_dim, h, w]; return path_4 to path_1."""
        return self.scratch.paths([layer(m) for layer, m in zip(self.act_postprocess, maps, strict=True)])


class DptRegression(DptTrunk):
    """DUSt3R's head: path_1 to values per pixel."""

    def __init__(self, config: DptConfig, out_channels: int, last_dim: int) -> None:
        super().__init__(config)
        self.head = nn.Sequential(
            nn.Conv2d(config.feature_dim, config.feature_dim // 2, 3, padding=1),
            Doubled(),
            nn.Conv2d(config.feature_dim // 2, last_dim, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(last_dim, out_channels, 1),
        )

    def forward(self, tokens: Sequence[Tensor], grid: tuple[int, int]) -> Tensor:
        """Return [B, out_channels, 16h, 16w] in float32 from four token maps, see `trunk`."""
        path = self.trunk(tokens, grid).float()
        with full_precision(path):
            return self.head(path)


class Doubled(nn.Module):
    """Bilinear upsampling by two, corners aligned."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, 2h, 2w]."""
        return doubled(x)


def doubled(x: Tensor) -> Tensor:
    """Upsample [B, C, h, w] to [B, C, 2h, 2w], bilinear, corners aligned."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True)


def hooked(layers: Sequence[Tensor]) -> list[Tensor]:
    """Choose the four token sets a DPT reads: the encoder's, and those at 1/2, 3/4 and the end of the decoder."""
    depth = len(layers) - 1
    return [layers[i] for i in (0, depth // 2, depth * 3 // 4, depth)]
