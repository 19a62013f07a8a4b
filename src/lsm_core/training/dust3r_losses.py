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
SKY_DISTANCE = 2.0


@dataclass(frozen=True, eq=False)
class RegressionLoss:
    """Per view the mean distance of normalised points and the confidence-weighted loss; the sum of the latter.

    Attributes:
        distances, confident: means over the pixels that count.
        pixels: [N] distances of those pixels, in the order (sample, row, column).
    """

    distances: list[Tensor]
    confident: list[Tensor]
    pixels: list[Tensor]

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
    metric: Tensor | None = None,
    sky: Sequence[Tensor] | None = None,
) -> RegressionLoss:
    """Return mean(d * c - alpha * log c) over the pixels that count, d the distance of normalised points.

    Prediction and truth are each divided by the mean distance of their valid points from the origin, all views
    together.

    Args:
        predicted, confidence, truth, valid: per view.
        alpha: what confidence is worth.
        metric: [B] bool, samples whose truth is in metres: there the prediction is divided by the truth's distance,
            so that its own scale counts (MASt3R, arXiv:2406.09756, section 3.1).
        sky: per view pixels without depth that count all the same, at a distance of `SKY_DISTANCE`.
    """
    p_norm, t_norm = mean_distance(predicted, valid), mean_distance(truth, valid)
    if metric is not None:
        p_norm = torch.where(metric, t_norm, p_norm)
    distances, confident, pixels = [], [], []
    for v, (p, c, t, mask) in enumerate(zip(predicted, confidence, truth, valid, strict=True)):
        d = (p / p_norm[:, None, None, None] - t / t_norm[:, None, None, None]).norm(dim=-1)
        if sky is not None:
            d = torch.where(sky[v] & ~mask, SKY_DISTANCE, d)
            mask = mask | sky[v]
        d, c = d[mask], c[mask]
        distances.append(d.mean())
        confident.append((d * c - alpha * c.log()).mean())
        pixels.append(d)
    return RegressionLoss(distances, confident, pixels)


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
