"""The lsm-tiny network: two images to depth, confidence, matches and language features.

The pair passes through three stages that a caller runs one after the other:
``encode`` (one image: pyramid and tokens), ``match`` (both views: cross-attention, descriptors, a
first depth at 1/8) and ``refine`` (depth from the correlation along epipolar lines, given the
relative pose that matches and first depth yield, then the decoder to 1/4 and 1/2). Both views
share every weight; each predicts depth along its own rays, so the composition with the pose gives
pointmaps in camera 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lsm_core.nn.tiny.attention import PairBlock
from lsm_core.nn.tiny.config import TinyConfig
from lsm_core.nn.tiny.decoder import Fusion, ResidualUnit, convex_upsample, convex_weights
from lsm_core.nn.tiny.epipolar import epipolar_profile, log_offsets
from lsm_core.nn.tiny.fine_search import FineSearch, Searched
from lsm_core.nn.tiny.gaussian_head import GaussianHead
from lsm_core.nn.tiny.lite0 import CHANNELS, Lite0, normalise
from lsm_core.nn.tiny.matching import correlation, unit_descriptors
from lsm_core.nn.tiny.rays import (
    FocalHead,
    RayEmbedding,
    cell_centres,
    intrinsics_from_log_focal,
    rays_from_intrinsics,
)
from lsm_core.nn.tiny.semantics import TextHead

TOKEN_STRIDE, COARSE_STRIDE, FINE_STRIDE = 16, 8, 4
PRIOR_WIDTH = 0.2  # in log depth
MIN_EVIDENCE = -8.0  # log evidence of a depth hypothesis that leaves the other view


@dataclass(frozen=True)
class Encoded:
    """What depends on one image only (a batch of B images)."""

    s4: Tensor  # [B, 24, H/4, W/4]
    s8: Tensor  # [B, 40, H/8, W/8]
    tokens: Tensor  # [B, N, C] at 1/16, rays embedded
    log_focal: Tensor  # [B] ln(f / width) guessed from the image
    intrinsics: Tensor  # [B, 3, 3] px of the model grid: given, or built from the guess


@dataclass(frozen=True)
class Matched:
    """Stage two, views stacked (2B: view 0 of every pair, then view 1)."""

    features: Tensor  # [2B, coarse_dim, h8, w8]
    similarity: Tensor  # [2B, N, N] cosine, rows own cells; float32
    temperature: Tensor  # [] multiplies the cosine before softmax
    matchability: Tensor  # [2B, 1, h8, w8] logit: seen in the other view
    log_depth: Tensor  # [2B, 1, h8, w8] first guess, float32
    rays: Tensor  # [2B, h8, w8, 3]


@dataclass(frozen=True)
class Refined:
    """Stage three, views stacked."""

    bin_logits: Tensor  # [2B, K, h8, w8] log scores of the depth hypotheses
    log_depth_coarse: Tensor  # [2B, 1, h8, w8] their mean
    log_depth: Tensor  # [2B, 1, h4, w4]
    log_confidence: Tensor  # [2B, 1, h4, w4]; confidence = 1 + exp
    features: Tensor  # [2B, feature_dim, h4, w4] language features
    upsampling: Tensor  # [2B, 1, 9, 2, 2, h4, w4] convex weights to 1/2
    searched: Searched | None = None  # the second search, where the network has one

    def at_half(self, x: Tensor) -> Tensor:
        """Upsample any [2B, C, h4, w4] map to 1/2 with the learned weights."""
        return convex_upsample(x, self.upsampling)


def stack_views(first: Encoded, second: Encoded) -> Encoded:
    """Stack two encoded batches of B images to one of 2B."""
    return Encoded(
        s4=torch.cat((first.s4, second.s4)),
        s8=torch.cat((first.s8, second.s8)),
        tokens=torch.cat((first.tokens, second.tokens)),
        log_focal=torch.cat((first.log_focal, second.log_focal)),
        intrinsics=torch.cat((first.intrinsics, second.intrinsics)),
    )


class EpipolarRefiner(nn.Module):
    """Choose among depth hypotheses at 1/8 from their correlation, the first guess and the features."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        bins, dim = config.depth_bins, config.coarse_dim
        self.embed = nn.Conv2d(3 * bins + 4, dim, 1)
        self.mix = nn.Conv2d(dim, dim, 3, padding=1)
        self.unit = ResidualUnit(dim)
        self.bin_logits = nn.Conv2d(dim, bins, 1)
        self.trust = nn.Conv2d(dim, 1, 1)

    def forward(
        self, matched: Matched, profile: Tensor, visible: Tensor, has_pose: Tensor, offsets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return refined features [2B, dim, h8, w8] and the hypotheses' log scores [2B, K, h8, w8].

        The scores add a prior around the first guess (PRIOR_WIDTH), what the features say, and the
        evidence along the line times a trust that the features give it.

        Args:
            matched: stage two.
            profile: [2B, K, h8, w8] similarity along the line.
            visible: [2B, K, h8, w8] in {0, 1}.
            has_pose: [2B] bool; where false the line is ignored.
            offsets: [K] log-depth hypotheses.
        """
        batch, _, h, w = matched.log_depth.shape
        flag = has_pose.view(-1, 1, 1, 1).to(profile.dtype)
        # matched.similarity is only read here: the descriptors learn from the matching loss
        peak = matched.similarity.detach().amax(dim=-1).view(batch, 1, h, w)
        floor = torch.full_like(profile, MIN_EVIDENCE)
        evidence = (matched.temperature.detach() * (profile - peak).clamp(max=0.0)).clamp_min(MIN_EVIDENCE)
        evidence = torch.where(visible > 0, evidence, floor)
        pair_mean = matched.log_depth.mean(dim=(1, 2, 3), keepdim=True)
        inputs = torch.cat(
            (
                profile * flag,
                evidence.exp() * flag,
                visible * flag,
                peak,
                matched.log_depth - pair_mean,
                matched.matchability.float().sigmoid(),
                flag.expand(batch, 1, h, w),
            ),
            dim=1,
        )
        x = matched.features + F.relu(self.mix(F.relu(self.embed(inputs))))
        x = self.unit(x)
        prior = -0.5 * (offsets / PRIOR_WIDTH).square().view(1, -1, 1, 1)
        trust = F.softplus(self.trust(x).float()) * flag
        return x, prior + self.bin_logits(x).float() + trust * evidence


class TinyNet(nn.Module):
    """lsm-tiny: Lite0 encoder, pair transformer at 1/16, matching at 1/8, decoder to 1/2."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        dim, coarse, fine = config.token_dim, config.coarse_dim, config.fine_dim
        self.encoder = Lite0()
        self.token_s16 = nn.Conv2d(CHANNELS["s16"], dim, 1)
        self.token_s32 = nn.Conv2d(CHANNELS["s32"], dim, 1)
        self.ray_embedding = RayEmbedding(dim)
        self.focal = FocalHead(CHANNELS["s32"], config.default_log_focal)
        self.blocks = nn.ModuleList(
            PairBlock(dim, config.token_heads, config.mlp_ratio) for _ in range(config.token_blocks)
        )
        self.norm = nn.LayerNorm(dim)
        self.to_coarse = Fusion(dim, CHANNELS["s8"], coarse)
        self.descriptor = nn.Conv2d(coarse, config.descriptor_dim, 1)
        self.log_temperature = nn.Parameter(torch.tensor(2.7))
        self.matchability = nn.Conv2d(coarse, 1, 1)
        self.first_depth = nn.Sequential(
            nn.ReLU(), nn.Conv2d(coarse, 48, 3, padding=1), nn.ReLU(), nn.Conv2d(48, 1, 1)
        )
        self.refiner = EpipolarRefiner(config)
        self.to_fine = Fusion(coarse, CHANNELS["s4"], fine)
        self.fine_search = FineSearch(config) if config.fine_bins else None
        self.geometry = nn.Sequential(nn.ReLU(), nn.Conv2d(fine, 48, 3, padding=1), nn.ReLU())
        self.depth_residual = nn.Conv2d(48, 1, 1)
        self.confidence = nn.Conv2d(48, 1, 1)
        self.upsampling = nn.Conv2d(48, 36, 1)
        self.language = nn.Sequential(nn.ReLU(), nn.Conv2d(fine, config.feature_dim, 1))
        self.text_head = TextHead(config.feature_dim, config.text_dim)
        self.gaussian_head = GaussianHead(config.gaussian_dim) if config.gaussian_dim else None

    def encode(self, image: Tensor, intrinsics: Tensor, known: Tensor) -> Encoded:
        """Encode single images.

        Args:
            image: [B, 3, H, W] RGB in [0, 1]; H and W multiples of 32.
            intrinsics: [B, 3, 3] px of this grid; ignored where ``known`` is false.
            known: [B] bool.
        """
        height, width = image.shape[-2:]
        pyramid = self.encoder(normalise(image))
        log_focal = self.focal(pyramid["s32"]).float()
        guessed = intrinsics_from_log_focal(log_focal.detach(), height, width)
        used = torch.where(known[:, None, None], intrinsics.float(), guessed)
        s32 = self.token_s32(pyramid["s32"])
        s32 = F.interpolate(s32, scale_factor=2.0, mode="bilinear", align_corners=False)
        tokens = (self.token_s16(pyramid["s16"]) + s32).flatten(2).transpose(1, 2)
        centres = cell_centres(height // TOKEN_STRIDE, width // TOKEN_STRIDE, TOKEN_STRIDE, image)
        tokens = tokens + self.ray_embedding(rays_from_intrinsics(used, centres), known)
        return Encoded(pyramid["s4"], pyramid["s8"], tokens, log_focal, used)

    def match(self, views: Encoded) -> Matched:
        """Relate the two views of each pair; ``views`` stacks them (see ``stack_views``)."""
        tokens = views.tokens
        for block in self.blocks:
            tokens = block(tokens)
        height, width = views.s8.shape[-2:]
        grid = self.norm(tokens).transpose(1, 2)
        grid = grid.reshape(grid.shape[0], -1, height // 2, width // 2)
        features = self.to_coarse(grid, views.s8)
        similarity = correlation(unit_descriptors(self.descriptor(features)))
        log_depth = self._bounded(self.first_depth(features).float() + 0.7)
        centres = cell_centres(height, width, COARSE_STRIDE, log_depth)
        return Matched(
            features=features,
            similarity=similarity,
            temperature=self.log_temperature.clamp(0.0, 4.0).exp(),
            matchability=self.matchability(features),
            log_depth=log_depth,
            rays=rays_from_intrinsics(views.intrinsics, centres),
        )

    def refine(self, views: Encoded, matched: Matched, T_other_self: Tensor, has_pose: Tensor) -> Refined:
        """Refine depth with the relative pose and decode.

        Args:
            views: stage one, stacked.
            matched: stage two.
            T_other_self: [2B, 4, 4], for each stacked view the pose into the other view, in the
                unit of ``matched.log_depth``; anything finite where ``has_pose`` is false.
            has_pose: [2B] bool.
        """
        offsets = log_offsets(self.config.depth_bins, self.config.depth_bin_range, matched.log_depth)
        first, second = views.intrinsics.chunk(2)
        profile, visible = epipolar_profile(
            matched.similarity.detach(),
            matched.log_depth.detach(),
            matched.rays,
            T_other_self.float(),
            torch.cat((second, first)),
            offsets,
            COARSE_STRIDE,
        )
        coarse, bin_logits = self.refiner(matched, profile, visible, has_pose, offsets)
        shift = (bin_logits.softmax(dim=1) * offsets.view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
        log_depth_coarse = matched.log_depth + shift
        fine = self.to_fine(coarse, views.s4)
        up = F.interpolate(log_depth_coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        searched = None
        if self.fine_search is not None:
            searched = self.fine_search(fine, up, views.intrinsics, T_other_self, has_pose)
            fine, up = searched.features, up + searched.shift
        geometry = self.geometry(fine)
        return Refined(
            bin_logits=bin_logits,
            log_depth_coarse=log_depth_coarse,
            log_depth=self._bounded(up + self.depth_residual(geometry).float()),
            log_confidence=self.confidence(geometry).float(),
            features=self.language(fine),
            upsampling=convex_weights(self.upsampling(geometry)),
            searched=searched,
        )

    def _bounded(self, log_depth: Tensor) -> Tensor:
        return log_depth.clamp(self.config.min_log_depth, self.config.max_log_depth)
