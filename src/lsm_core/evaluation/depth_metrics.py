"""Errors of depth and of pointmaps after the scale that no unposed pair can know is taken out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

DELTA = 1.25


@dataclass(frozen=True)
class DepthError:
    """Errors of one depth map.

    Attributes:
        absrel: mean |d - d*| / d* after the prediction's median is set to the truth's.
        delta: share of pixels with max(d / d*, d* / d) < 1.25 after the same.
        scale: median of the prediction over median of the truth, before alignment.
        pixels: number of pixels compared.
    """

    absrel: float
    delta: float
    scale: float
    pixels: int


NO_DEPTH = DepthError(math.nan, math.nan, math.nan, 0)


def depth_error(predicted: Tensor, true: Tensor) -> DepthError:
    """Compare depth maps [h, w]; pixels with true <= 0 or without a finite prediction do not count.

    A prediction that is not positive counts as wrong, with its error.
    """
    valid = (true > 0) & true.isfinite() & predicted.isfinite()
    if not bool(valid.any()):
        return NO_DEPTH
    d, t = predicted[valid].double().cpu(), true[valid].double().cpu()
    scale = float(d.median() / t.median())
    if scale <= 0:
        return DepthError(math.nan, 0.0, scale, len(d))
    d = d / scale
    ratio = torch.maximum(d / t, t / d.clamp(min=1e-9))
    return DepthError(float(((d - t).abs() / t).mean()), float((ratio < DELTA).double().mean()), scale, len(d))


def pointmap_error(predicted: list[Tensor], true: list[Tensor], view: int) -> float:
    """Return the median of |p - p*| / |p*| over one view's points after one scale for all views is taken out.

    Args:
        predicted: per view [h, w, 3] in camera 0.
        true: per view [h, w, 3] in camera 0, all zero where unknown.
        view: whose points are measured.

    Returns:
        NaN where the view has no known point.
    """
    known = [(t.abs().sum(-1) > 0) & p.cpu().isfinite().all(-1) for p, t in zip(predicted, true, strict=True)]
    if not bool(known[view].any()):
        return math.nan
    pairs = zip(predicted, true, known, strict=True)
    ratios = torch.cat([p.cpu()[k].double().norm(dim=-1) / t[k].double().norm(dim=-1) for p, t, k in pairs])
    scale = float(ratios.median())
    if scale <= 0:
        return math.nan
    p, t = predicted[view].cpu()[known[view]].double() / scale, true[view][known[view]].double()
    return float(((p - t).norm(dim=-1) / t.norm(dim=-1)).median())
