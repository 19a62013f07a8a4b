"""Losses through the pose that the network's own matches and depth yield.

A weighted PnP is solved inside the training step: a start pose is moved by Gauss-Newton steps on the reprojection
of the predicted points against the expected matches, each weighted by how sure the network is of it. The steps are
differentiable, so errors of the pose, and of the other view's points put in place by it, reach descriptors,
visibility and depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lsm_core.nn.tiny.epipolar import transform
from lsm_core.nn.tiny.matching import local_expectation
from lsm_core.nn.tiny.network import Matched
from lsm_core.training.batches import PairBatch
from lsm_core.training.pose_error import gauss_newton_step
from lsm_core.training.targets import CELL, Correspondences, depth_at, pair_log_shift

STEPS = 2
CLEAR_BASELINE = 0.1  # of the median depth; the shorter a baseline is, the less its direction means
MIN_VISIBLE = 24  # cells; pairs with fewer are left out


@dataclass(frozen=True)
class PoseTerms:
    """The three errors, each a scalar."""

    rotation: Tensor  # radians
    direction: Tensor  # 1 - cosine of the translations
    composed: Tensor  # points of a view put into the other camera, relative


def solved_pose(matched: Matched, intrinsics: Tensor, start: Tensor) -> Tensor:
    """Return T_other_self [2B, 4, 4] after weighted Gauss-Newton steps from ``start``, in each view's own unit.

    Args:
        matched: stage two.
        intrinsics: [2B, 3, 3] px of the input grid.
        start: [2B, 4, 4].
    """
    height, width = matched.log_depth.shape[-2:]
    rows = (matched.temperature * matched.similarity).softmax(dim=-1)
    pixels = local_expectation(rows, height, width) * CELL + (CELL - 1) / 2.0
    weight = rows.amax(dim=-1) * matched.matchability.float().flatten(1).sigmoid()
    points = (matched.rays * matched.log_depth[:, 0, ..., None].exp()).flatten(1, 2)
    first, second = intrinsics.chunk(2)
    other = torch.cat((second, first))
    T = start
    for _ in range(STEPS):
        T = gauss_newton_step(T, points, pixels, weight, other)
    return T


def pose_terms(
    matched: Matched, intrinsics: Tensor, batch: PairBatch, targets: Correspondences, start: Tensor
) -> PoseTerms:
    """Compare the solved pose with the true one; pairs without overlap are left out.

    Args:
        matched: stage two.
        intrinsics: [2B, 3, 3] px that the network used.
        batch: true poses and depth.
        targets: which cells are seen in the other view.
        start: [2B, 4, 4] where the solver begins, in the unit of the predicted depth.
    """
    true_depth = depth_at(batch.depth, CELL)
    with torch.no_grad():
        shift = pair_log_shift(matched.log_depth[:, 0], true_depth)
        scale = torch.cat((shift, shift)).exp()
    usable = targets.visible.sum(1) >= MIN_VISIBLE
    T = solved_pose(matched, intrinsics, start)
    usable = usable & torch.isfinite(T).flatten(1).all(1)
    T = torch.where(usable[:, None, None], T, batch.T_other_self)
    R, R_true = T[:, :3, :3], batch.T_other_self[:, :3, :3]
    share = usable.float() / usable.sum().clamp_min(1)
    rotation = (R - R_true).square().sum((1, 2)).clamp_min(1e-12).sqrt() / 2**0.5
    t, t_true = T[:, :3, 3], batch.T_other_self[:, :3, 3]
    clear = (t_true.norm(dim=1) / (CLEAR_BASELINE * _median_depth(true_depth))).clamp(max=1.0)
    direction = (1 - F.cosine_similarity(t, t_true, dim=1, eps=1e-3)) * clear.square()
    composed = _composed_error(matched, batch, targets, T, scale)
    return PoseTerms((rotation.clamp(max=0.5) * share).sum(), (direction * share).sum(), (composed * share).sum())


def _composed_error(
    matched: Matched, batch: PairBatch, targets: Correspondences, T: Tensor, scale: Tensor
) -> Tensor:
    """Return [2B]: mean relative error of the visible points of each view in the other camera, capped at one."""
    depth = depth_at(batch.depth, CELL)
    own = (matched.rays * matched.log_depth[:, 0, ..., None].exp()).flatten(1, 2)
    predicted = transform(T, own) / scale[:, None, None]
    true = transform(batch.T_other_self, (matched.rays * depth[..., None]).flatten(1, 2))
    error = (predicted - true).norm(dim=-1) / true.norm(dim=-1).clamp_min(0.2)
    weight = targets.visible & (depth.flatten(1) > 0)
    return (error.clamp(max=1.0) * weight).sum(1) / weight.sum(1).clamp_min(1)


def _median_depth(depth: Tensor) -> Tensor:
    flat = torch.where(depth > 0, depth, torch.nan).flatten(1)
    return flat.nanmedian(dim=1).values.nan_to_num(1.0)
