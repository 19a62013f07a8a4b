"""The surface that both views of a pair show, composed in camera 0, and the Gaussians on it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.backends.tiny_gaussians import SurfaceView, surface_gaussians
from lsm_core.backends.tiny_parallax import ParallaxDepth
from lsm_core.nn.tiny.disc_inputs import disc_inputs
from lsm_core.nn.tiny.gaussian_head import DiscChanges, GaussianHead
from lsm_core.nn.tiny.network import Refined
from lsm_core.nn.tiny.rays import cell_centres, rays_from_intrinsics
from lsm_core.types import Gaussians

OPACITY_GAIN = 4.0  # a surface the network is least sure of (confidence 1) still hides most of what is behind it


@dataclass(frozen=True)
class PairSurface:
    """Both views on the output grid, stacked; lengths in the unit of view 0's depth.

    Where view 1 has no pose, its points and pose are NaN and its depth is in its own unit.
    """

    points: Tensor  # [2, h, w, 3] in camera 0
    depth: Tensor  # [2, h, w] along z of the own camera
    log_confidence: Tensor  # [2, h, w]; confidence = 1 + exp
    colors: Tensor  # [2, h, w, 3] uint8
    features: Tensor  # [2, h, w, 64] language features
    K: Tensor  # [2, 3, 3] px of the output grid
    T_0_cam: Tensor  # [2, 4, 4]
    posed: bool  # whether view 1's pose is known

    @property
    def confidence(self) -> Tensor:
        """[2, h, w], above 1."""
        return 1.0 + self.log_confidence.exp()


def compose_surface(
    refined: Refined,
    colors: Tensor,
    K: Tensor,
    T_0_1: Tensor,
    scale_1: float,
    measured: ParallaxDepth | None = None,
) -> PairSurface:
    """Put both views in camera 0.

    Args:
        refined: the network's last stage for one pair.
        colors: [2, h, w, 3] uint8.
        K: [2, 3, 3] px of the output grid.
        T_0_1: [4, 4], NaN where it is not known.
        scale_1: view 1's depth unit in that of view 0.
        measured: what parallax adds to the network's depth and confidence.
    """
    log_depth = refined.at_half(refined.log_depth)[:, 0]
    log_confidence = refined.at_half(refined.log_confidence)[:, 0].clamp(-10.0, 5.0)
    if measured is not None:
        log_depth = log_depth + torch.from_numpy(measured.log_shift).to(log_depth)
        log_confidence = _raised(log_confidence, torch.from_numpy(measured.confidence).to(log_depth))
    depth = log_depth.exp() * torch.tensor([1.0, scale_1], device=log_depth.device)[:, None, None]
    height, width = depth.shape[1:]
    rays = rays_from_intrinsics(K, cell_centres(height, width, 1, depth))
    T = torch.stack((torch.eye(4, device=depth.device), T_0_1))
    points = [rays[v] * depth[v, ..., None] @ T[v][:3, :3].T + T[v][:3, 3] for v in range(2)]
    return PairSurface(
        points=torch.stack(points),
        depth=depth,
        log_confidence=log_confidence,
        colors=colors,
        features=refined.at_half(refined.features).permute(0, 2, 3, 1).contiguous(),
        K=K,
        T_0_cam=T,
        posed=bool(torch.isfinite(T_0_1).all()),
    )


def pair_gaussians(surface: PairSurface, head: GaussianHead | None) -> Gaussians:
    """Join the views' discs, changed by a head where there is one; view 1 is left out where its pose is unknown."""
    changes = None if head is None else head(head_inputs(surface))
    return joined_discs(surface, changes)


def head_inputs(surface: PairSurface) -> Tensor:
    """Return what a Gaussian head reads, [2, DISC_CHANNELS, h, w]."""
    rgb = surface.colors.float() / 255.0
    geometry = (surface.points, surface.depth, surface.log_confidence)
    return disc_inputs(*geometry, rgb, surface.K, surface.T_0_cam, surface.posed)


def joined_discs(surface: PairSurface, changes: DiscChanges | None) -> Gaussians:
    """Join the discs of the views whose pose is known, with changes [2, h, w] or as computed."""
    opacity = 1.0 - 1.0 / (1.0 + OPACITY_GAIN * surface.confidence)
    parts = []
    for v in range(2 if surface.posed else 1):
        view = SurfaceView(
            points=surface.points[v],
            depth=surface.depth[v],
            rgb=surface.colors[v],
            opacity=opacity[v],
            features=surface.features[v],
            focal=float(surface.K[v, 0, 0]),
            T_scene_cam=surface.T_0_cam[v],
        )
        parts.append(surface_gaussians(view, None if changes is None else changes.of_view(v)))
    return Gaussians.concatenate(parts)


def _raised(log_confidence: Tensor, measured: Tensor) -> Tensor:
    """Add a measured confidence [2, h, w] to the network's own (as squares); where none is, nothing changes."""
    joined = torch.hypot(1.0 + log_confidence.exp(), measured)
    return torch.where(measured > 0, (joined - 1.0).log(), log_confidence)
