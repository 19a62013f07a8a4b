"""LSM's head: a feature per point to one Gaussian per pixel (Fan et al. 2024, arXiv:2410.18956, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsm_core.nn.pixel_gaussians import PixelGaussians
from lsm_core.points.knn import nearest_squared_distances
from lsm_core.sh import C0

SH_DEGREE = 3
NEIGHBOURS = 3
MIN_SQUARED = 1e-7
MIN_SCALE, MAX_SCALE = 0.1, 3.0  # times the median spacing


@dataclass(frozen=True, eq=False)
class MergedPoints:
    """Pointmaps of all views as one cloud per sample, order (sample, view, row, column).

    Attributes:
        points: [B, N, 3] model units.
        coords: [B * N, 3] in [-1, 1].
        features: [B * N, 6] coords and colour.
        center: [B, 1, 3]; scale: [B, 1, 1]: coords = (points - center) / scale.
    """

    points: Tensor
    coords: Tensor
    features: Tensor
    center: Tensor
    scale: Tensor

    @property
    def counts(self) -> list[int]:
        """Points of each sample."""
        return [self.points.shape[1]] * self.points.shape[0]


def merge_points(pointmaps: Sequence[Tensor], images: Sequence[Tensor]) -> MergedPoints:
    """Join views.

    Args:
        pointmaps: [B, H, W, 3] per view, in camera 0's frame.
        images: [B, 3, H, W] per view in [-1, 1].
    """
    points = torch.cat([p.detach().flatten(1, 2) for p in pointmaps], 1)
    colours = torch.cat([image.flatten(2).transpose(1, 2) for image in images], 1)
    center = points.mean(1, keepdim=True)
    scale = (points - center).abs().amax((1, 2), keepdim=True)
    coords = ((points - center) / scale).flatten(0, 1)
    return MergedPoints(points, coords, torch.cat((coords, colours.flatten(0, 1)), 1), center, scale)


class GaussianHead(nn.Module):
    """One linear layer; means are the points themselves."""

    def __init__(self, in_dim: int, feature_dim: int, sh_degree: int = SH_DEGREE) -> None:
        super().__init__()
        self.feature_dim = feature_dim
        self.coefficients = (sh_degree + 1) ** 2
        self.gaussian_proj = nn.Linear(in_dim, 3 + 4 + 1 + 3 * self.coefficients + feature_dim)

    def forward(
        self, point_features: Tensor, merged: MergedPoints, images: Sequence[Tensor], residuals: Sequence[Tensor]
    ) -> list[PixelGaussians]:
        """Make Gaussians.

        Args:
            point_features: [B * N, in_dim] in the order of `merged`.
            merged: the points.
            images: [B, 3, H, W] per view in [-1, 1].
            residuals: [B, feature_dim, H, W] per view, added to the features.
        """
        B, _, H, W = images[0].shape
        raw = self.gaussian_proj(point_features).view(B, len(images), H, W, -1)
        spacing = point_spacing(merged.points).view(B, len(images), H, W, 1)
        median = spacing.flatten(1).median(1).values.view(B, 1, 1, 1, 1)
        means = merged.points.view(B, len(images), H, W, 3)
        s, q, o, sh, f = raw.split((3, 4, 1, 3 * self.coefficients, self.feature_dim), -1)
        scales = (s.exp() * spacing).clamp(MIN_SCALE * median, MAX_SCALE * median)
        sh = sh.unflatten(-1, (self.coefficients, 3)) * degree_mask(self.coefficients, raw)[:, None]
        rotations, opacities = F.normalize(q, dim=-1, eps=1e-12), o.sigmoid()[..., 0]
        views = []
        for v, (image, residual) in enumerate(zip(images, residuals, strict=True)):
            colour = (0.5 * image.permute(0, 2, 3, 1)) / C0
            coloured = torch.cat((sh[:, v, :, :, :1] + colour[..., None, :], sh[:, v, :, :, 1:]), -2)
            features = f[:, v] + residual.permute(0, 2, 3, 1)
            parts = (means[:, v], scales[:, v], rotations[:, v], opacities[:, v], coloured, features)
            views.append(PixelGaussians(*parts))
        return views


def point_spacing(points: Tensor) -> Tensor:
    """Return the root mean squared distance of each point to its three nearest others, [B, N], of [B, N, 3]."""
    squared = torch.stack([nearest_squared_distances(sample, NEIGHBOURS).mean(1) for sample in points])
    return squared.clamp(min=MIN_SQUARED).sqrt()


def degree_mask(count: int, like: Tensor) -> Tensor:
    """Return the weight of each coefficient, [count]: 1, then 0.5 * 0.25^degree."""
    degree = torch.arange(count, device=like.device, dtype=like.dtype).sqrt().floor()
    return torch.where(degree == 0, 1.0, 0.5 * 0.25**degree)
