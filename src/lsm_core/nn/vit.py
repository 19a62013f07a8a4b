"""Vision transformer with a class token and learned positions (Dosovitskiy et al. 2021, arXiv:2010.11929)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.croco import PatchEmbed
from lsm_core.nn.transformer import EncoderBlock


@dataclass(frozen=True)
class VitConfig:
    """Sizes; the defaults are those of ViT-L/16 trained at 384 x 384 (`grid` tokens a side)."""

    dim: int = 1024
    depth: int = 24
    heads: int = 16
    grid: int = 24
    patch_size: int = 16
    mlp_ratio: float = 4.0


class Vit(nn.Module):
    """Blocks up to the last one asked for; there is no final norm and no classifier."""

    def __init__(self, config: VitConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = PatchEmbed(3, config.dim, config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, config.dim))
        blocks = (EncoderBlock(config.dim, config.heads, config.mlp_ratio) for _ in range(config.depth))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor, hooks: Sequence[int]) -> list[Tensor]:
        """Return the outputs of some blocks.

        Args:
            image: [B, 3, H, W], sides multiples of the patch size.
            hooks: indices of the blocks, ascending.

        Returns:
            One [B, 1 + N, dim] per hook, the class token first.
        """
        tokens, _ = self.patch_embed(image)
        height, width = image.shape[2] // self.config.patch_size, image.shape[3] // self.config.patch_size
        x = torch.cat((self.cls_token.expand(len(image), -1, -1), tokens.float()), 1)
        x = x + self.positions(height, width)
        out = []
        for index, block in enumerate(self.blocks[: hooks[-1] + 1]):
            x = block(x)
            if index in hooks:
                out.append(x)
        return out

    def positions(self, height: int, width: int) -> Tensor:
        """Return the positions of a grid, [1, 1 + height * width, dim]: the learned ones, resized bilinearly."""
        first, learned = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = learned.transpose(1, 2).unflatten(2, (self.config.grid, self.config.grid))
        resized = F.interpolate(square, (height, width), mode="bilinear", align_corners=False)
        return torch.cat((first, resized.flatten(2).transpose(1, 2)), 1)
