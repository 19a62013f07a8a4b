"""A second, finer search along the epipolar lines, at 1/4: few hypotheses close to what the 1/8 search found.

One cell of the 1/8 search is eight pixels wide, which at usual baselines is some ten percent of depth. Descriptors
of the 1/4 features, read along the line in a narrow range, carry the rest. Nothing is added where there is no pose.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm_core.nn.tiny.attention import swap_views
from lsm_core.nn.tiny.config import TinyConfig
from lsm_core.nn.tiny.decoder import ResidualUnit
from lsm_core.nn.tiny.epipolar import log_offsets, project, sampling_grid, transform
from lsm_core.nn.tiny.rays import cell_centres, rays_from_intrinsics

STRIDE = 4  # px per cell
PRIOR_SHARE = 0.5  # standard deviation of the prior, as a share of the half range
FIRST_TRUST = -3.0  # before softplus: at first the search hardly moves depth


@dataclass(frozen=True)
class Searched:
    """What the search gives, views stacked."""

    features: Tensor  # [2B, fine_dim, h4, w4]
    logits: Tensor  # [2B, K, h4, w4] log scores of the hypotheses
    log_depth: Tensor  # [2B, 1, h4, w4] around which they lie
    shift: Tensor  # [2B, 1, h4, w4] their mean, to be added to it


class FineSearch(nn.Module):
    """Score hypotheses around a depth map with descriptors read along epipolar lines."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        dim, bins = config.fine_dim, config.fine_bins
        self.bins, self.half_range = bins, config.fine_bin_range
        self.descriptor = nn.Conv2d(dim, config.fine_descriptor_dim, 3, padding=1)
        self.log_temperature = nn.Parameter(torch.tensor(2.3))
        self.embed = nn.Conv2d(2 * bins + 1, dim, 1)
        self.unit = ResidualUnit(dim)
        self.out = nn.Conv2d(dim, dim, 1)
        self.bin_logits = nn.Conv2d(dim, bins, 1)
        self.trust = nn.Conv2d(dim, 1, 1)
        for layer in (self.out, self.bin_logits, self.trust):
            nn.init.zeros_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.trust.bias, FIRST_TRUST)  # type: ignore[arg-type]

    def forward(
        self, fine: Tensor, log_depth: Tensor, intrinsics: Tensor, T_other_self: Tensor, has_pose: Tensor
    ) -> Searched:
        """Search.

        Args:
            fine: [2B, fine_dim, h4, w4] features, views stacked.
            log_depth: [2B, 1, h4, w4] where to look.
            intrinsics: [2B, 3, 3] px of the input grid, own view.
            T_other_self: [2B, 4, 4] own camera to the other one, in the unit of ``log_depth``.
            has_pose: [2B] bool.
        """
        offsets = log_offsets(self.bins, self.half_range, log_depth)
        own = F.normalize(self.descriptor(F.relu(fine)).float(), dim=1)
        similarity, visible = similarity_along_lines(own, log_depth.detach(), intrinsics, T_other_self, offsets)
        flag = has_pose.view(-1, 1, 1, 1).to(similarity.dtype)
        evidence = self.log_temperature.clamp(0.0, 4.0).exp() * similarity * flag
        inputs = torch.cat((similarity * flag, visible * flag, flag.expand_as(log_depth)), dim=1)
        x = self.unit(fine + F.relu(self.embed(inputs)))
        prior = -0.5 * (offsets / (PRIOR_SHARE * self.half_range)).square().view(1, -1, 1, 1)
        trust = F.softplus(self.trust(x).float()) * flag
        logits = prior + self.bin_logits(x).float() + trust * evidence
        shift = (logits.softmax(dim=1) * offsets.view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
        return Searched(fine + self.out(x), logits, log_depth, shift)


def similarity_along_lines(
    descriptors: Tensor, log_depth: Tensor, intrinsics: Tensor, T_other_self: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare each cell with the other view where each hypothesis puts it.

    Args:
        descriptors: [2B, D, h, w] unit norm, views stacked.
        log_depth: [2B, 1, h, w].
        intrinsics: [2B, 3, 3] px of the input grid.
        T_other_self: [2B, 4, 4].
        offsets: [K] in log depth.

    Returns:
        cosine [2B, K, h, w] (0 outside the other view) and visible [2B, K, h, w] in {0, 1}.
    """
    h, w = descriptors.shape[-2:]
    rays = rays_from_intrinsics(intrinsics, cell_centres(h, w, STRIDE, log_depth))
    depth = (log_depth.float() + offsets.view(1, -1, 1, 1)).exp()
    points = transform(T_other_self.float(), rays[:, None] * depth[..., None])
    pixels, z = project(points, swap_views(intrinsics))
    grid = sampling_grid((pixels - (STRIDE - 1) / 2.0) / STRIDE, h, w)
    visible = ((grid.abs() <= 1).all(dim=-1) & (z > 1e-3)).to(descriptors.dtype)
    place = grid.clamp(-2, 2).flatten(1, 2)  # [2B, K h, w, 2]
    read = F.grid_sample(swap_views(descriptors), place, padding_mode="border", align_corners=False)
    cosine = (read.unflatten(2, (-1, h)) * descriptors[:, :, None]).sum(dim=1)
    return cosine * visible, visible
