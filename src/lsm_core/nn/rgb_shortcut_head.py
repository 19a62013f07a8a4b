"""A DPT whose last layers work at full resolution and see the image's colours (NoPoSplat, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.dpt import DptConfig, DptTrunk, doubled
from lsm_core.nn.precision import full_precision

DROPOUT = 0.1
LAST = 4


class RgbShortcutHead(DptTrunk):
    """path_1 brought to full size, plus what a convolution sees in the image, to values per pixel.

    Args:
        config: sizes of the trunk.
        out_channels: values per pixel.
        in_channels: of the image.
    """

    def __init__(self, config: DptConfig, out_channels: int, in_channels: int = 3) -> None:
        super().__init__(config)
        width = config.feature_dim
        self.input_merger = nn.Sequential(nn.Conv2d(in_channels, width, 7, padding=3), nn.ReLU())
        # the positions of the released layers: 1 is the place of a normalisation that is not used
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.Identity(),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Conv2d(width, out_channels, 1),
        )

    def forward(self, tokens: Sequence[Tensor], grid: tuple[int, int], image: Tensor) -> Tensor:
        """Return [B, out_channels, 16h, 16w] in float32.

        Args:
            tokens: four of [B, h * w, token_dim], see `DptTrunk.trunk`.
            grid: (h, w).
            image: [B, in_channels, 16h, 16w] in [-1, 1].
        """
        seen = doubled(self.trunk(tokens, grid)) + self.input_merger(image)
        features, last = self.head[:LAST](seen).float(), self.last
        assert last.bias is not None
        with full_precision(features):
            return F.conv2d(features, last.weight.float(), last.bias.float())

    @property
    def last(self) -> nn.Conv2d:
        """The layer that makes the values."""
        layer = self.head[LAST]
        assert isinstance(layer, nn.Conv2d)
        return layer

    def replace_last(self, layer: nn.Conv2d) -> None:
        """Put another layer in the place of the last one."""
        self.head[LAST] = layer
