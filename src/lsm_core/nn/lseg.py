"""LSeg's image side (Li et al. 2022, arXiv:2201.03546): image features beside CLIP's text vectors."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.dpt import DptConfig, DptTrunk, doubled
from lsm_core.nn.vit import Vit, VitConfig

LOGIT_SCALE = 1 / 0.07  # a constant of the reference, not a weight
MULTIPLE = 32  # of the image's sides: the coarsest map is 1/32


@dataclass(frozen=True)
class LsegConfig:
    """Sizes; the defaults are those of the demo_e200 release."""

    vit: VitConfig = field(default_factory=VitConfig)
    hooks: tuple[int, int, int, int] = (5, 11, 17, 23)
    layer_dims: tuple[int, int, int, int] = (256, 512, 1024, 1024)
    feature_dim: int = 256
    out_dim: int = 512

    def dpt(self) -> DptConfig:
        """Return the sizes of the DPT."""
        return DptConfig((self.vit.dim,) * 4, self.layer_dims, self.feature_dim, batch_norm=True)


class Lseg(nn.Module):
    """ViT, readout of the class token into each patch token, DPT with batch normalisation, projection."""

    def __init__(self, config: LsegConfig) -> None:
        super().__init__()
        self.config = config
        self.vit = Vit(config.vit)
        self.readout = nn.ModuleList(nn.Linear(2 * config.vit.dim, config.vit.dim) for _ in config.hooks)
        self.dpt = DptTrunk(config.dpt())
        self.head1 = nn.Conv2d(config.feature_dim, config.out_dim, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return features [B, out_dim, H/2, W/2], not normalised, of an image [B, 3, H, W] in [-1, 1].

        H and W must be multiples of 32.
        """
        return self.head1(self.path(image))

    def path(self, image: Tensor) -> Tensor:
        """Return path_1 [B, feature_dim, H/2, W/2], the input of `head1`."""
        return self.dpt.paths(self.readouts(image))[-1]

    def readouts(self, image: Tensor) -> list[Tensor]:
        """Return four maps [B, dim, H/16, W/16]: each hooked token joined with the class token."""
        patch = self.config.vit.patch_size
        grid = (image.shape[2] // patch, image.shape[3] // patch)
        maps = []
        for tokens, project in zip(self.vit(image, self.config.hooks), self.readout, strict=True):
            patches, first = tokens[:, 1:], tokens[:, :1]
            joined = F.gelu(project(torch.cat((patches, first.expand_as(patches)), -1)))
            maps.append(joined.transpose(1, 2).unflatten(2, grid))
        return maps


def text_logits(features: Tensor, texts: Tensor) -> Tensor:
    """Return how well each pixel fits each text, [B, T, 2h, 2w] float32.

    Cosines over 0.07; the product is taken in half precision as in the reference, then upsampled, corners aligned.

    Args:
        features: [B, C, h, w].
        texts: [T, C] vectors of the text tower.
    """
    pixels = F.normalize(features, dim=1).permute(0, 2, 3, 1).half()
    words = F.normalize(texts, dim=-1).half()
    logits = LOGIT_SCALE * (pixels @ words.T)
    return doubled(logits.float().permute(0, 3, 1, 2))
