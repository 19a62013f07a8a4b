"""Similarities from data: weighted Umeyama alignment."""

from __future__ import annotations

import torch
from torch import Tensor

from lsm_core.errors import GeometryError, InputError
from lsm_core.types import Sim3


def umeyama(source: Tensor, target: Tensor, weights: Tensor | None = None, with_scale: bool = True) -> Sim3:
    """Find the similarity that maps source points onto target points in the weighted least squares sense.

    Umeyama 1991, with weights (orthogonal Procrustes where `with_scale` is off).

    Args:
        source: [N, 3] points in the old frame.
        target: [N, 3] the same points in the new frame.
        weights: [N] >= 0, or None for equal weights.
        with_scale: estimate the scale; otherwise it is 1.

    Raises:
        InputError: shapes do not agree or weights are negative.
        GeometryError: fewer than 3 points with weight, or points on a line.
    """
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise InputError(f"Umeyama needs two [N, 3] sets, got {tuple(source.shape)} and {tuple(target.shape)}.")
    src, dst = source.detach().cpu().double(), target.detach().cpu().double()
    w = torch.ones(len(src)).double() if weights is None else weights.detach().cpu().double()
    if w.shape != (len(src),) or bool((w < 0).any()):
        raise InputError("Umeyama weights must be [N] and not negative.")
    keep = (w > 0) & src.isfinite().all(1) & dst.isfinite().all(1)
    src, dst, w = src[keep], dst[keep], w[keep]
    if len(src) < 3:
        raise GeometryError(f"An alignment needs 3 points or more, got {len(src)}.", "Give more correspondences.")
    w = w / w.sum()
    mean_src, mean_dst = w @ src, w @ dst
    a, b = src - mean_src, dst - mean_dst
    U, S, Vh = torch.linalg.svd((w[:, None] * b).T @ a)
    if S[1] <= 1e-12 * S[0].clamp(min=1e-300):
        raise GeometryError("The points lie on a line, so their alignment is not unique.", "Use spread points.")
    flip = torch.ones(3).double()
    flip[2] = torch.sign(torch.linalg.det(U) * torch.linalg.det(Vh))
    R = U @ torch.diag(flip) @ Vh
    scale = float((S * flip).sum() / (w @ a.square().sum(1))) if with_scale else 1.0
    return Sim3(scale, R, mean_dst - scale * (R @ mean_src))
