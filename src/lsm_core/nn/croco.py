"""The two-stream backbone of DUSt3R and its heirs (CroCo v2 encoder and decoders), for two and more views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from lsm_core.nn.paired_decoder import PairedBlock
from lsm_core.nn.rope import grid_positions, grid_rope_tables, rope_tables
from lsm_core.nn.transformer import NORM_EPS, DecoderBlock, EncoderBlock

Item = TypeVar("Item")


@dataclass(frozen=True)
class CrocoConfig:
    """Sizes; the defaults are those of DUSt3R 512 (ViT-L encoder, ViT-B decoders)."""

    patch_size: int = 16
    channels: int = 3
    enc_dim: int = 1024
    enc_depth: int = 24
    enc_heads: int = 16
    dec_dim: int = 768
    dec_depth: int = 12
    dec_heads: int = 12
    rope_base: float = 100.0


@dataclass(frozen=True, eq=False)
class ViewTokens:
    """Encoder output of a batch of images of one size.

    Attributes:
        tokens: [B, N, enc_dim] after the final norm, row-major; extra tokens (intrinsics) last.
        positions: [B, N, 2] int64 (y, x).
        grid: (rows, columns), where the positions are those of a row-major grid in every sample; None otherwise.
    """

    tokens: Tensor
    positions: Tensor
    grid: tuple[int, int] | None = None


class PatchEmbed(nn.Module):
    """Non-overlapping patches to tokens, row-major."""

    def __init__(self, channels: int, dim: int, patch_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, dim, patch_size, patch_size)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Embed [B, C, H, W]; return tokens [B, N, dim] and positions [B, N, 2]."""
        grid = self.proj(image)
        positions = grid_positions(grid.shape[2], grid.shape[3], image.device)
        return grid.flatten(2).transpose(1, 2), positions.expand(len(image), -1, -1)


class CrocoBackbone(nn.Module):
    """Shared encoder; one decoder for view 0 and one for all other views, which attend to each other.

    Source: DUSt3R (Wang et al. 2024, arXiv:2312.14132) section 3.2; NoPoSplat (arXiv:2410.24207) for more views.
    """

    def __init__(self, config: CrocoConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(config.channels, config.enc_dim, config.patch_size)
        self.enc_blocks = nn.ModuleList(
            EncoderBlock(config.enc_dim, config.enc_heads) for _ in range(config.enc_depth)
        )
        self.enc_norm = nn.LayerNorm(config.enc_dim, eps=NORM_EPS)
        self.decoder_embed = nn.Linear(config.enc_dim, config.dec_dim)
        self.dec_blocks = self._decoder()
        self.dec_blocks2 = self._decoder()
        self.dec_norm = nn.LayerNorm(config.dec_dim, eps=NORM_EPS)
        self.paired: nn.ModuleList | None = None

    def pair_decoders(self) -> None:
        """From now on decode two views on one grid with both decoders at once; see `nn.paired_decoder`.

        For inference, after the network is on its device. The weights are shared, not copied.
        """
        pairs = zip(self.dec_blocks, self.dec_blocks2, strict=True)
        self.paired = nn.ModuleList(
            PairedBlock(cast(DecoderBlock, first), cast(DecoderBlock, second)) for first, second in pairs
        )

    def _decoder(self) -> nn.ModuleList:
        config = self.config
        return nn.ModuleList(DecoderBlock(config.dec_dim, config.dec_heads) for _ in range(config.dec_depth))

    def encode(self, image: Tensor) -> ViewTokens:
        """Encode images [B, C, H, W] (sides multiples of the patch size); what depends on one view only."""
        tokens, positions = self.patch_embed(image)
        patch = self.config.patch_size
        return self.encode_tokens(tokens, positions, (image.shape[2] // patch, image.shape[3] // patch))

    def encode_tokens(self, tokens: Tensor, positions: Tensor, grid: tuple[int, int] | None = None) -> ViewTokens:
        """Run the encoder's blocks on embedded patches [B, N, enc_dim]; see `ViewTokens`."""
        rope = self._tables(positions, grid, self.config.enc_dim // self.config.enc_heads)
        tokens = tokens.float()  # layers may be half: their sum is not
        for block in self.enc_blocks:
            tokens = block(tokens, rope)
        return ViewTokens(self.enc_norm(tokens), positions, grid)

    def _tables(self, positions: Tensor, grid: tuple[int, int] | None, head_dim: int) -> tuple[Tensor, Tensor]:
        if grid is None:
            return rope_tables(positions, head_dim, self.config.rope_base)
        return grid_rope_tables(*grid, head_dim, self.config.rope_base, positions.device)

    def decode(self, views: Sequence[ViewTokens], embedded: Sequence[Tensor] | None = None) -> list[list[Tensor]]:
        """Let the views attend to each other.

        Each layer of every view reads the layer before of all other views, concatenated in the order of the views.

        Args:
            views: V >= 2 encoded views of equal batch size; view 0 is the reference.
            embedded: per view what enters the decoder, [B, N, dec_dim]; `decoder_embed` of the tokens by default.

        Returns:
            Per view dec_depth + 1 tensors: the encoder's tokens [B, N, enc_dim], then each layer's output
            [B, N, dec_dim], the last one normalised.
        """
        head_dim = self.config.dec_dim // self.config.dec_heads
        on_grids = all(view.grid is not None for view in views)
        ropes = [self._tables(view.positions, view.grid if on_grids else None, head_dim) for view in views]
        memory_ropes = [
            tuple(torch.cat(parts, 2) for parts in zip(*others(ropes, v), strict=True)) for v in range(len(views))
        ]
        layers = [[view.tokens] for view in views]
        now = list(embedded or (self.decoder_embed(view.tokens).float() for view in views))
        if self.paired is not None and on_grids and len(views) == 2 and views[0].grid == views[1].grid:
            return self._decode_paired(self.paired, layers, torch.stack(now), ropes[0])
        for first, rest in zip(self.dec_blocks, self.dec_blocks2, strict=True):
            now = [
                (first if v == 0 else rest)(x, torch.cat(others(now, v), 1), ropes[v], memory_ropes[v])
                for v, x in enumerate(now)
            ]
            for outputs, x in zip(layers, now, strict=True):
                outputs.append(x)
        for outputs in layers:
            outputs[-1] = self.dec_norm(outputs[-1])
        return layers

    def _decode_paired(
        self, blocks: nn.ModuleList, layers: list[list[Tensor]], now: Tensor, rope: tuple[Tensor, Tensor]
    ) -> list[list[Tensor]]:
        """Append the layers of both views, [2, B, N, dec_dim] at the start, to what they have."""
        for block in blocks:
            now = block(now, rope)
            for outputs, x in zip(layers, now, strict=True):
                outputs.append(x)
        for outputs in layers:
            outputs[-1] = self.dec_norm(outputs[-1])
        return layers


def others(items: Sequence[Item], index: int) -> list[Item]:
    """Return all items but one, in order."""
    return [item for i, item in enumerate(items) if i != index]
