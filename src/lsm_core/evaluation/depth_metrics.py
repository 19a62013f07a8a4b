"""Errors of depth and of pointmaps after the scale that no unposed pair can know is taken out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lsm_core.evaluation.switches import Average, DepthAlignment

DELTA = 1.25
TAU = 1.03


@dataclass(frozen=True)
class DepthError:
    """Errors of one depth map.

    Attributes:
        absrel: mean |d - d*| / d* after alignment ("rel" in the literature).
        delta: share of pixels with max(d / d*, d* / d) < 1.25 after the same.
        scale: median of the prediction over median of the truth, before alignment.
        pixels: number of pixels compared.
        tau: share of pixels with max(d / d*, d* / d) < 1.03 after the same.
    """

    absrel: float
    delta: float
    scale: float
    pixels: int
    tau: float = math.nan


NO_DEPTH = DepthError(math.nan, math.nan, math.nan, 0)


def depth_error(predicted: Tensor, true: Tensor, alignment: DepthAlignment = "median") -> DepthError:
    """Compare depth maps [h, w]; pixels with true <= 0 or without a finite prediction do not count.

    A prediction that is not positive counts as wrong, with its error.

    Args:
        predicted: any unit.
        true: 0 where unknown.
        alignment: what is taken out first; see `Switches`.
    """
    valid = (true > 0) & true.isfinite() & predicted.isfinite()
    if not bool(valid.any()):
        return NO_DEPTH
    d, t = predicted[valid].double().cpu(), true[valid].double().cpu()
    scale = float(d.median() / t.median())
    aligned = aligned_depth(d, t, alignment)
    if aligned is None:
        return DepthError(math.nan, 0.0, scale, len(d), 0.0)
    ratio = torch.maximum(aligned / t, t / aligned.clamp(min=1e-9))
    rel = float(((aligned - t).abs() / t).mean())
    delta, tau = (float((ratio < bound).double().mean()) for bound in (DELTA, TAU))
    return DepthError(rel, delta, scale, len(d), tau)


def aligned_depth(d: Tensor, t: Tensor, alignment: DepthAlignment) -> Tensor | None:
    """Bring depths [N] to the true ones [N]; None where the scale would not be positive."""
    if alignment == "none":
        return d
    if alignment == "affine":
        columns = torch.stack([d, torch.ones_like(d)], 1)
        return columns @ torch.linalg.lstsq(columns, t[:, None], driver="gelsd").solution[:, 0]
    ratio = d.median() / t.median() if alignment == "median" else d.square().sum() / (d * t).sum()
    scale = float(ratio)
    return d / scale if scale > 0 and math.isfinite(scale) else None


def summed_up(errors: Sequence[DepthError], average: Average) -> DepthError:
    """Return the mean of the errors of several maps, over the maps or over all their pixels; scale: the median."""
    counted = [e for e in errors if e.pixels and not math.isnan(e.absrel)]
    if not counted:
        return NO_DEPTH
    weights = np.array([1 if average == "macro" else e.pixels for e in counted], np.float64)

    def mean(values: list[float]) -> float:
        return float(np.average(values, weights=weights))

    return DepthError(
        absrel=mean([e.absrel for e in counted]),
        delta=mean([e.delta for e in counted]),
        scale=float(np.median([e.scale for e in counted])),
        pixels=sum(e.pixels for e in counted),
        tau=mean([e.tau for e in counted]),
    )


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
