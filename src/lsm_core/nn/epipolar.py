"""pixelSplat's epipolar transformer (Charatan et al. 2024, arXiv:2312.12337, section 4.1).

Submodules carry the names of the released checkpoints. Images are [B, V, ...] throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.geometry.epipolar import (
    cell_centres,
    clip_rays,
    ray_depth,
    ray_depth_least_squares,
    world_rays,
)
from lsm_core.nn.depth_buckets import relative_disparity_from_depth
from lsm_core.nn.epipolar_attention import EpipolarAttention
from lsm_core.nn.image_attention import DoubledSelfAttention, ImageAttentionConfig
from lsm_core.nn.upscaled_convolution import UpscaledConvolution
from lsm_core.nn.wide_attention import FourierCode, TransformerLayers

REFINEMENT = 7  # size of the convolutions at full resolution


@dataclass(frozen=True)
class EpipolarConfig:
    """Sizes; the defaults are the release's. `view_embeddings` is 0 in models of two views."""

    dim: int = 128
    samples: int = 32
    octaves: int = 10
    layers: int = 2
    heads: int = 4
    head_dim: int = 128
    downscale: int = 4
    view_embeddings: int = 0
    image_attention: ImageAttentionConfig = field(default_factory=ImageAttentionConfig)


@dataclass(frozen=True, eq=False)
class RayCameras:
    """Cameras of B sets of V views.

    Attributes:
        T_world_cam: [B, V, 4, 4].
        K: [B, V, 3, 3] normalised.
        near, far: [B, V] distances along unit rays.
    """

    T_world_cam: Tensor
    K: Tensor
    near: Tensor
    far: Tensor


@dataclass(frozen=True, eq=False)
class EpipolarSamples:
    """Samples along epipolar lines: R rays of each view, O = V - 1 other views, S samples.

    Attributes:
        valid: [B, V, O, R] bool, whether the other view sees the ray at all.
        xy: [B, V, O, R, S, 2] normalised positions in the other view; 0 for rays it does not see.
        features: [B, V, O, R, S, dim], 0 for rays it does not see.
        depth: [B, V, O, R, S] along the ray, within near and far.
        relative_disparity: [B, V, O, R, S].
    """

    valid: Tensor
    xy: Tensor
    features: Tensor
    depth: Tensor
    relative_disparity: Tensor


class EpipolarTransformer(nn.Module):
    """Lets every pixel look along its epipolar lines in the other views.

    Args:
        config: sizes.
        reference: the slow readable twin: rays meet by least squares, all keys and values are made, convolutions
            are done as written.
    """

    def __init__(self, config: EpipolarConfig, reference: bool = False) -> None:
        super().__init__()
        self.config, self.reference = config, reference
        c = config
        self.depth_encoding = nn.Sequential(FourierCode(c.octaves), nn.Linear(2 * c.octaves, c.dim))
        pairs = [
            (EpipolarAttention(c.dim, c.heads, c.head_dim), DoubledSelfAttention(c.image_attention, c.dim))
            for _ in range(c.layers)
        ]
        self.transformer = TransformerLayers(c.dim, pairs)
        self.downscaler = nn.Conv2d(c.dim, c.dim, c.downscale, c.downscale)
        self.upscaler = nn.ConvTranspose2d(c.dim, c.dim, c.downscale, c.downscale)
        self.upscale_refinement = nn.Sequential(
            nn.Conv2d(c.dim, 2 * c.dim, REFINEMENT, padding=REFINEMENT // 2),
            nn.GELU(),
            nn.Conv2d(2 * c.dim, c.dim, REFINEMENT, padding=REFINEMENT // 2),
        )
        self.view_embeddings = nn.Embedding(c.view_embeddings, c.dim) if c.view_embeddings else None
        self.composed: UpscaledConvolution | None = None

    def compose(self) -> None:
        """Prepare the fast path of the upscaling; for filled weights, which then must not change."""
        first = self.upscale_refinement[0]
        assert isinstance(first, nn.Conv2d)
        self.composed = UpscaledConvolution(self.upscaler, first)

    def forward(self, features: Tensor, cameras: RayCameras, permutation: Tensor | None = None) -> Tensor:
        """Return [B, V, dim, H, W] for downscaled features [B, V, dim, H / downscale, W / downscale].

        Args:
            features: of the views.
            cameras: of them.
            permutation: [V - 1] which embedding marks which other view; needed for more than two views where the
                model has embeddings.
        """
        found = self.sample(features, cameras)
        height, width = features.shape[-2:]
        x = features.flatten(3).transpose(2, 3)  # [B, V, R, dim]
        attend = self._written_out(found, permutation) if self.reference else self._rewritten(found, permutation)
        for cross, own in self.transformer.pairs():
            x = attend(cross.fn, cross.norm(x)) + x  # type: ignore[arg-type]
            image = own.norm(x).transpose(2, 3).flatten(0, 1).unflatten(2, (height, width))
            x = own.fn(image).flatten(2).transpose(1, 2).view_as(x) + x
        return self.upscale(x.transpose(2, 3).flatten(0, 1).unflatten(2, (height, width))).unflatten(
            0, features.shape[:2]
        )

    def sample(self, features: Tensor, cameras: RayCameras) -> EpipolarSamples:
        """Sample the other views along the epipolar lines of each view's pixels; see `forward`."""
        views, (height, width) = features.shape[1], features.shape[-2:]
        others = torch.tensor([[o for o in range(views) if o != v] for v in range(views)], device=features.device)
        xy = cell_centres(height, width, features).flatten(0, 1)
        own_rays = world_rays(xy, cameras.T_world_cam, cameras.K)
        origins, directions = (t[:, :, None] for t in own_rays)  # [B, V, 1, R, 3]
        T, K = cameras.T_world_cam[:, others], cameras.K[:, others]  # [B, V, O, ...]
        near, far = (t[:, :, None, None] for t in (cameras.near, cameras.far))
        seen = clip_rays(origins, directions, T, K, near, far)
        count = self.config.samples
        steps = (torch.arange(count, dtype=xy.dtype, device=xy.device) + 0.5) / count
        places = seen.xy_min[..., None, :] + (seen.xy_max - seen.xy_min)[..., None, :] * steps[:, None]
        taken = _taken(features[:, others], places) * seen.seen[..., None, None]
        sample_origins, sample_directions = world_rays(places.flatten(3, 4), T, K)
        meet = ray_depth_least_squares if self.reference else ray_depth
        depth = meet(
            origins[..., None, :].expand(*places.shape[:-1], 3).flatten(3, 4),
            directions[..., None, :].expand(*places.shape[:-1], 3).flatten(3, 4),
            sample_origins,
            sample_directions,
        )
        depth = depth.clamp(near, far).view(places.shape[:-1])
        relative = relative_disparity_from_depth(depth, near[..., None], far[..., None])
        return EpipolarSamples(seen.seen, places, taken, depth, relative)

    def upscale(self, x: Tensor) -> Tensor:
        """Bring maps [N, dim, h, w] to full resolution."""
        fine = self.upscaler(x)
        first, activation, second = self.upscale_refinement
        return second(activation(first(fine) if self.composed is None else self.composed(x))) + fine

    def _embeddings(self, others: int, permutation: Tensor | None) -> Tensor | None:
        """Return [O, dim]: what marks each other view, None in sets of two views."""
        if self.view_embeddings is None or others < 2:
            return None
        assert permutation is not None
        return self.view_embeddings.weight[permutation]

    def _written_out(
        self, found: EpipolarSamples, permutation: Tensor | None
    ) -> Callable[[EpipolarAttention, Tensor], Tensor]:
        samples = found.features + self.depth_encoding(found.relative_disparity[..., None])
        marks = self._embeddings(samples.shape[2], permutation)
        if marks is not None:
            samples = samples + marks[:, None, None]
        keys = samples.movedim(2, 4).flatten(3, 4)  # [B, V, R, S * O, dim]
        return lambda attention, x: attention(x, keys)

    def _rewritten(
        self, found: EpipolarSamples, permutation: Tensor | None
    ) -> Callable[[EpipolarAttention, Tensor], Tensor]:
        """Keep features, code of the depth and mark of the view apart: a sample is linear in the three."""
        code, linear = self.depth_encoding
        assert isinstance(linear, nn.Linear)
        others = found.features.shape[2]
        parts = [found.features, code(found.relative_disparity[..., None])]
        bases = [torch.eye(self.config.dim).to(linear.weight), linear.weight]
        marks = self._embeddings(others, permutation)
        if marks is not None:
            one_hot = torch.eye(others).to(linear.weight)[:, None, None]
            parts.append(one_hot.expand(*found.features.shape[:-1], others))
            bases.append(marks.T)
        joined = torch.cat(parts, -1).movedim(2, 3).flatten(3, 4)  # [B, V, R, O * S, P]
        basis = torch.cat(bases, 1)
        return lambda attention, x: attention.attend(x, joined, basis, linear.bias)


def _taken(features: Tensor, places: Tensor) -> Tensor:
    """Interpolate maps [B, V, O, dim, h, w] at normalised places [B, V, O, R, S, 2]: [B, V, O, R, S, dim]."""
    grid = (2 * places - 1).flatten(0, 2)
    taken = F.grid_sample(features.flatten(0, 2), grid, mode="bilinear", align_corners=False)
    return taken.permute(0, 2, 3, 1).unflatten(0, places.shape[:3])
