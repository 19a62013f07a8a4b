"""The vision transformer of DINO (Caron et al. 2021), as pixelSplat uses it: last layer, final norm."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.transformer import NORM_EPS
from lsm_core.nn.vit import Vit, VitConfig

SIZE_MARGIN = 0.1  # DINO adds it to the grid's sides; it shifts where the learned positions are sampled
VIT_B8 = VitConfig(dim=768, depth=12, heads=12, grid=28, patch_size=8)


class Dino(Vit):
    """A ViT whose tokens are those after the final norm."""

    def __init__(self, config: VitConfig = VIT_B8) -> None:
        super().__init__(config)
        self.norm = nn.LayerNorm(config.dim, eps=NORM_EPS)

    def tokens(self, image: Tensor) -> Tensor:
        """Return [B, 1 + N, dim] of images [B, 3, H, W], the class token first."""
        last: Tensor = self(image, (self.config.depth - 1,))[0]
        return self.norm(last)

    def positions(self, height: int, width: int) -> Tensor:
        """Return the positions of a grid, [1, 1 + height * width, dim]: the learned ones, resized bicubically.

        The scale handed to the interpolation is DINO's, not the ratio of the sizes.
        """
        grid = self.config.grid
        if height == width == grid:
            return self.pos_embed
        first, learned = self.pos_embed[:, :1], self.pos_embed[:, 1:]
        square = learned.transpose(1, 2).unflatten(2, (grid, grid))
        scale = ((height + SIZE_MARGIN) / grid, (width + SIZE_MARGIN) / grid)
        resized = F.interpolate(square, scale_factor=scale, mode="bicubic", align_corners=False)
        return torch.cat((first, resized.flatten(2).transpose(1, 2)), 1)
