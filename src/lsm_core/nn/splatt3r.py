"""Splatt3R (Smart et al. 2024, arXiv:2408.13912): MASt3R with a head that puts a Gaussian at each point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lsm_core.nn.dust3r import DptHead, Pointmap
from lsm_core.nn.mast3r import DescriptorConfig, Mast3r, Mast3rConfig, Mast3rHead
from lsm_core.nn.pixel_gaussians import PixelGaussians
from lsm_core.sh import C0

EPS = 1e-8


def _descriptors() -> DescriptorConfig:
    return DescriptorConfig(confidence_range=(1.0, float("inf")))


# of the last layer when training starts from MASt3R: gain of the weights and value of the biases
STARTS = ((0.001, 0.001), (0.00003, -7.0), (1.0, 0.0), (1.0, 0.0), (1.0, -2.0))


@dataclass(frozen=True)
class Splatt3rConfig(Mast3rConfig):
    """Sizes of a Splatt3R; the defaults are those of the release.

    Attributes:
        use_offsets: Gaussians may leave their points.
        sh_coefficients: per colour; the reference calls it `sh_degree`, 1 is a colour without direction.
        offset_shift: raw offsets of this length are one unit long.
    """

    descriptor: DescriptorConfig | None = field(default_factory=_descriptors)
    use_offsets: bool = True
    sh_coefficients: int = 1
    offset_shift: float = 6.0

    @property
    def gaussian_channels(self) -> tuple[int, int, int, int, int]:
        """Channels of offset, scale, rotation, colour and opacity."""
        return 3, 3, 4, 3 * self.sh_coefficients, 1


class Splatt3rHead(Mast3rHead):
    """MASt3R's head and a second DPT of the same shape for Gaussians."""

    def __init__(self, config: Splatt3rConfig) -> None:
        super().__init__(config)
        self.gaussian_dpt = DptHead(config, sum(config.gaussian_channels))


class Splatt3r(Mast3r):
    """Two images to pointmaps and Gaussians in the first camera's frame, in metres as MASt3R's metric release."""

    sizes: Splatt3rConfig

    def __init__(self, config: Splatt3rConfig) -> None:
        super().__init__(config)

    def _head(self) -> nn.Module:
        return Splatt3rHead(self.sizes)

    def raw_gaussians(self, view: int, layers: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """Return the raw output [B, channels, H, W] of a view's Gaussian head in float32; see `Dust3r.head`."""
        head = self.head_of(view)
        assert isinstance(head, Splatt3rHead)
        found: Tensor = head.gaussian_dpt(layers, self.grid(size))
        return found

    def gaussians(self, raw: Tensor, points: Tensor, image: Tensor) -> PixelGaussians:
        """Return Gaussians from a head's raw output.

        Args:
            raw: [B, channels, H, W], see `raw_gaussians`.
            points: [B, H, W, 3] of the same view; no gradient flows back into them.
            image: [B, 3, H, W] in [-1, 1]; colours are what the head adds to it.
        """
        offset, s, q, sh, o = raw.permute(0, 2, 3, 1).split(self.sizes.gaussian_channels, -1)
        means = points.detach()
        if self.sizes.use_offsets:
            means = means + offset_from_raw(offset, self.sizes.offset_shift)
        length = q.norm(dim=-1, keepdim=True)
        # No rotation at all is none: the reference's covariance of a zero quaternion is not turned either.
        xyzw = torch.where(length > 0, q / (length + EPS), q.new_tensor([0.0, 0, 0, 1]))
        # stored colour by colour; coefficients come first here
        coefficients = sh.unflatten(-1, (3, self.sizes.sh_coefficients)).transpose(-1, -2)
        colour = (0.5 * image.permute(0, 2, 3, 1)) / C0
        coloured = torch.cat((coefficients[..., :1, :] + colour[..., None, :], coefficients[..., 1:, :]), -2)
        return PixelGaussians(means, s.exp(), xyzw.roll(1, -1), o.sigmoid()[..., 0], coloured)

    @torch.no_grad()
    def start_gaussians(self, generator: torch.Generator | None = None) -> None:
        """Give the last layers of the Gaussian heads the values that training starts with.

        Gaussians are then small, faint and near their points.
        """
        for head in (self.head_of(0), self.head_of(1)):
            assert isinstance(head, Splatt3rHead)
            last = head.gaussian_dpt.dpt.head[-1]
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            groups = self.sizes.gaussian_channels
            for weight, bias, (gain, value) in zip(
                last.weight.split(groups), last.bias.split(groups), STARTS, strict=True
            ):
                nn.init.xavier_uniform_(weight, gain, generator)
                bias.fill_(value)

    def scene(
        self,
        layers: Sequence[Sequence[Tensor]],
        pointmaps: Sequence[Pointmap],
        images: Sequence[Tensor],
    ) -> list[PixelGaussians]:
        """Return the Gaussians of all views.

        Args:
            layers: token sets per view, as `decode` gives them.
            pointmaps: per view, of the same layers.
            images: [B, 3, H, W] per view in [-1, 1].
        """
        found = []
        for v, (tokens, pointmap, image) in enumerate(zip(layers, pointmaps, images, strict=True)):
            raw = self.raw_gaussians(v, tokens, (image.shape[2], image.shape[3]))
            found.append(self.gaussians(raw, pointmap.points, image))
        return found


def offset_from_raw(raw: Tensor, shift: float) -> Tensor:
    """Return offsets [..., 3] along the raw vectors; a length d becomes exp(d - shift) - exp(-shift)."""
    length = raw.norm(dim=-1, keepdim=True)
    return raw / length.clamp(min=EPS) * ((length - shift).exp() - math.exp(-shift))
