"""pixelSplat's network (Charatan et al. 2024, arXiv:2312.12337), as its released code has it.

Submodules carry the names of the released checkpoints, without the prefix `encoder.`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.geometry.epipolar import cell_centres
from lsm_core.nn.depth_buckets import BucketChoice, choose, most_probable, sampled, split_logits
from lsm_core.nn.dino import VIT_B8, Dino
from lsm_core.nn.epipolar import EpipolarConfig, EpipolarTransformer, RayCameras
from lsm_core.nn.folding import fold_batch_norms
from lsm_core.nn.ray_gaussians import (
    OFFSETS,
    QUATERNION,
    SCALES,
    RayGaussians,
    ScaleRange,
    opacity_of_probability,
    ray_gaussians,
    shifted_centres,
)
from lsm_core.nn.resnet import ResNetConfig, ResNetPyramid
from lsm_core.nn.vit import VitConfig

SKIP = 7  # size of the convolution of the image


@dataclass(frozen=True)
class PixelsplatConfig:
    """Sizes; the defaults are the release's.

    Attributes:
        dino, resnet, backbone_dim: of the backbone and its output.
        epipolar: of the epipolar transformer.
        buckets, surfaces: of the depth distribution.
        gaussians_per_pixel: G; every opacity is divided by it.
        sh_degree: of the coefficients that are stored; those above degree 3 never reach an image.
        scales: of the Gaussians.
        opacity_exponent: see `opacity_of_probability`.
    """

    dino: VitConfig = VIT_B8
    resnet: ResNetConfig = field(default_factory=ResNetConfig)
    backbone_dim: int = 512
    epipolar: EpipolarConfig = field(default_factory=EpipolarConfig)
    buckets: int = 32
    surfaces: int = 1
    gaussians_per_pixel: int = 3
    sh_degree: int = 4
    scales: ScaleRange = field(default_factory=ScaleRange)
    opacity_exponent: float = 0.0

    @property
    def multiple(self) -> int:
        """What the sides of images are multiples of."""
        return math.lcm(self.epipolar.downscale * self.epipolar.image_attention.patch_size, self.dino.patch_size)


@dataclass(frozen=True, eq=False)
class DepthHead:
    """Distributions over depth, per pixel of N: probabilities and offsets [B, V, N, S, buckets]."""

    probabilities: Tensor
    offsets: Tensor


@dataclass(frozen=True, eq=False)
class PixelsplatOutput:
    """What the network says of B sets of V views.

    Attributes:
        depths: the distributions.
        choice: of buckets, [B, V, N, S, G].
        opacities: [B, V, N, S, G].
        gaussians: of the N * S surfaces, [B, V, N * S, G, ...].
    """

    depths: DepthHead
    choice: BucketChoice
    opacities: Tensor
    gaussians: RayGaussians


class Backbone(nn.Module):
    """DINO's tokens and a ResNet's pyramid, summed at full resolution."""

    def __init__(self, config: PixelsplatConfig) -> None:
        super().__init__()
        dim, out = config.dino.dim, config.backbone_dim
        self.dino = Dino(config.dino)
        self.resnet_backbone = ResNetPyramid(config.resnet, out)
        self.global_token_mlp = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, out))
        self.local_token_mlp = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, out))

    def forward(self, image: Tensor) -> Tensor:
        """Return [B, out, H, W] for images [B, 3, H, W] in [0, 1]."""
        return self.join(self.resnet_backbone(image), self.dino.tokens(image))

    def join(self, pyramid: Tensor, tokens: Tensor) -> Tensor:
        """Add what the class token says to every pixel of [B, out, H, W], and a patch's token to its own pixels."""
        patch = self.dino.config.patch_size
        rows, columns = pyramid.shape[2] // patch, pyramid.shape[3] // patch
        whole = self.global_token_mlp(tokens[:, 0])[..., None, None]
        local = self.local_token_mlp(tokens[:, 1:]).transpose(1, 2).unflatten(2, (rows, columns))
        cells = pyramid.unflatten(3, (columns, patch)).unflatten(2, (rows, patch))
        return (cells + (whole + local)[:, :, :, None, :, None]).flatten(4, 5).flatten(2, 3)


class DepthPredictor(nn.Module):
    """A linear layer to logits and offsets of the buckets."""

    def __init__(self, dim: int, buckets: int, surfaces: int) -> None:
        super().__init__()
        self.surfaces = surfaces
        self.projection = nn.Sequential(nn.ReLU(), nn.Linear(dim, 2 * buckets * surfaces))

    def forward(self, features: Tensor) -> DepthHead:
        """Map features [..., dim]."""
        return DepthHead(*split_logits(self.projection(features), self.surfaces))


class Pixelsplat(nn.Module):
    """Views with cameras to Gaussians.

    Args:
        config: sizes.
        reference: the slow readable twin, see `EpipolarTransformer`.
    """

    def __init__(self, config: PixelsplatConfig, reference: bool = False) -> None:
        super().__init__()
        self.config, self.reference = config, reference
        dim = config.epipolar.dim
        self.backbone = Backbone(config)
        self.backbone_projection = nn.Sequential(nn.ReLU(), nn.Linear(config.backbone_dim, dim))
        self.epipolar_transformer = EpipolarTransformer(config.epipolar, reference)
        self.depth_predictor = DepthPredictor(dim, config.buckets, config.surfaces)
        per_surface = OFFSETS + SCALES + QUATERNION + 3 * (config.sh_degree + 1) ** 2
        self.to_gaussians = nn.Sequential(nn.ReLU(), nn.Linear(dim, config.surfaces * per_surface))
        self.high_resolution_skip = nn.Sequential(nn.Conv2d(3, dim, SKIP, padding=SKIP // 2), nn.ReLU())

    def optimize(self) -> None:
        """Fold what can be folded into the weights, which must be filled; does nothing to the twin."""
        if not self.reference:
            fold_batch_norms(self)
            self.epipolar_transformer.compose()

    def encode(self, image: Tensor) -> Tensor:
        """Compute what depends on one image only.

        Args:
            image: [B, 3, H, W] in [0, 1], sides multiples of `PixelsplatConfig.multiple`.

        Returns:
            [B, dim, H / downscale, W / downscale].
        """
        return self.epipolar_transformer.downscaler(self.project(self.backbone(image)))

    def project(self, backbone: Tensor) -> Tensor:
        """Return [B, dim, H, W] of the backbone's output."""
        relu, linear = self.backbone_projection
        assert isinstance(linear, nn.Linear)
        return F.conv2d(relu(backbone), linear.weight[..., None, None], linear.bias)

    def match(
        self, features: Tensor, images: Tensor, cameras: RayCameras, permutation: Tensor | None = None
    ) -> Tensor:
        """Return per-pixel features [B, V, H * W, dim] of views that have seen each other.

        Args:
            features: [B, V, dim, h, w] of `encode`.
            images: [B, V, 3, H, W] in [0, 1].
            cameras: of the views.
            permutation: see `EpipolarTransformer`.
        """
        own = self.high_resolution_skip(images.flatten(0, 1)).unflatten(0, images.shape[:2])
        return (self.epipolar_transformer(features, cameras, permutation) + own).flatten(3).transpose(2, 3)

    def decode(
        self, pixels: Tensor, cameras: RayCameras, size: tuple[int, int], uniform: Tensor | None = None
    ) -> PixelsplatOutput:
        """Make Gaussians of per-pixel features.

        Args:
            pixels: [B, V, N, dim] of `match`, or any rows of N pixels of the whole grid.
            cameras: of the views.
            size: (height, width), N = height * width.
            uniform: [B, V, N, S, G] numbers of the unit interval to draw depths with; None for the most probable
                depth of each pixel, one Gaussian, whose opacity is divided by G all the same, as in the reference.
        """
        depths = self.depth_predictor(pixels)
        index = (
            most_probable(depths.probabilities, 1) if uniform is None else sampled(depths.probabilities, uniform)
        )
        near, far = (t[:, :, None, None, None] for t in (cameras.near, cameras.far))
        choice = choose(depths.probabilities, depths.offsets, index, near, far)
        raw = self.to_gaussians(pixels).unflatten(-1, (self.config.surfaces, -1))
        centres = cell_centres(*size, like=pixels).flatten(0, 1)[:, None]
        xy = shifted_centres(raw[..., :OFFSETS], centres, size).flatten(2, 3)
        gaussians = ray_gaussians(
            raw[..., OFFSETS:].flatten(2, 3),
            xy,
            choice.depth.flatten(2, 3),
            cameras.T_world_cam,
            cameras.K,
            size,
            self.config.scales,
        )
        opacities = opacity_of_probability(choice.opacity, self.config.opacity_exponent)
        return PixelsplatOutput(depths, choice, opacities / self.config.gaussians_per_pixel, gaussians)
