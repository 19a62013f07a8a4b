"""Self attention within a feature map, on its patches: the second half of a layer of pixelSplat's transformer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lsm_core.geometry.epipolar import cell_centres
from lsm_core.nn.wide_attention import FeedForward, FourierCode, TransformerLayers, WideSelfAttention


@dataclass(frozen=True)
class ImageAttentionConfig:
    """Sizes; the defaults are the release's."""

    patch_size: int = 4
    octaves: int = 10
    layers: int = 2
    heads: int = 4
    head_dim: int = 128
    token_dim: int = 128
    mlp_dim: int = 256


class ImageSelfAttention(nn.Module):
    """Patches to tokens with positions, a transformer, and back to the map's size."""

    def __init__(self, config: ImageAttentionConfig, dim: int) -> None:
        super().__init__()
        c = config
        self.patch_embedder = nn.Sequential(nn.Conv2d(dim, c.token_dim, c.patch_size, c.patch_size), nn.ReLU())
        self.positional_encoding = nn.Sequential(FourierCode(c.octaves), nn.Linear(2 * 2 * c.octaves, c.token_dim))
        pairs = [
            (WideSelfAttention(c.token_dim, c.heads, c.head_dim), FeedForward(c.token_dim, c.mlp_dim))
            for _ in range(c.layers)
        ]
        self.transformer = TransformerLayers(c.token_dim, pairs)
        self.resampler = nn.ConvTranspose2d(c.token_dim, dim, c.patch_size, c.patch_size)

    def forward(self, image: Tensor) -> Tensor:
        """Map [B, dim, h, w] to the same, sides multiples of the patch size."""
        patches = self.patch_embedder(image)
        height, width = patches.shape[2:]
        positions = self.positional_encoding(cell_centres(height, width, image)).flatten(0, 1)
        x = patches.flatten(2).transpose(1, 2) + positions
        for attention, feed_forward in self.transformer.pairs():
            x = x + attention.fn(attention.norm(x))
            x = x + feed_forward.fn(feed_forward.norm(x))
        return self.resampler(x.transpose(1, 2).unflatten(2, (height, width)))


class DoubledSelfAttention(nn.Module):
    """A map plus its self attention; the release adds its input here and once more around it."""

    def __init__(self, config: ImageAttentionConfig, dim: int) -> None:
        super().__init__()
        self.self_attention = ImageSelfAttention(config, dim)

    def forward(self, image: Tensor) -> Tensor:
        """Map [B, dim, h, w] to the same."""
        return self.self_attention(image) + image
