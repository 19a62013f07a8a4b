"""DUSt3R's training losses (arXiv:2312.14132, section 3.2), and the scale between prediction and truth.

All points are in camera 0's frame. Shapes: points [B, H, W, 3], masks [B, H, W] bool, confidence [B, H, W].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WEISZFELD_STEPS = 10
MIN_SCALE = 1e-3
EPS = 1e-8


@dataclass(frozen=True, eq=False)
class RegressionLoss:
    """Per view the mean distance of normalised points and the confidence-weighted loss; the sum of the latter."""

    distances: list[Tensor]
    confident: list[Tensor]

    @property
    def total(self) -> Tensor:
        """Sum over the views."""
        return torch.stack(self.confident).sum()


def confidence_loss(
    predicted: Sequence[Tensor],
    confidence: Sequence[Tensor],
    truth: Sequence[Tensor],
    valid: Sequence[Tensor],
    alpha: float = 0.2,
) -> RegressionLoss:
    """Return mean(d * c - alpha * log c) over valid pixels, d the distance of normalised points.

    Prediction and truth are each divided by the mean distance of their valid points from the origin, all views
    together.
    """
    p_norm, t_norm = mean_distance(predicted, valid), mean_distance(truth, valid)
    distances, confident = [], []
    for p, c, t, mask in zip(predicted, confidence, truth, valid, strict=True):
        d = (p / p_norm[:, None, None, None] - t / t_norm[:, None, None, None]).norm(dim=-1)[mask]
        c = c[mask]
        distances.append(d.mean())
        confident.append((d * c - alpha * c.log()).mean())
    return RegressionLoss(distances, confident)


def mean_distance(points: Sequence[Tensor], valid: Sequence[Tensor]) -> Tensor:
    """Return the mean distance of valid points from the origin, all views together, [B]."""
    distance = torch.cat([p.norm(dim=-1).flatten(1) for p in points], 1)
    mask = torch.cat([m.flatten(1) for m in valid], 1)
    total = torch.where(mask, distance, 0.0).sum(1)
    return (total / (mask.sum(1) + EPS)).clamp(min=EPS)


def optimal_scale(predicted: Sequence[Tensor], truth: Sequence[Tensor], valid: Sequence[Tensor]) -> Tensor:
    """Return s [B] with predicted ~ s * truth, by reweighted least squares on the distances (no gradient)."""
    p = torch.cat([v.detach().flatten(1, 2) for v in predicted], 1)
    t = torch.cat([v.flatten(1, 2) for v in truth], 1)
    mask = torch.cat([m.flatten(1) for m in valid], 1).to(p.dtype)
    pt, tt = (p * t).sum(-1) * mask, t.square().sum(-1) * mask
    scale = pt.sum(1) / tt.sum(1)
    for _ in range(WEISZFELD_STEPS):
        weight = 1 / (p - scale[:, None, None] * t).norm(dim=-1).clamp(min=EPS)
        scale = (weight * pt).sum(1) / (weight * tt).sum(1)
    return scale.clamp(min=MIN_SCALE)
