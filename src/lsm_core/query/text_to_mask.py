"""From cosines to scores, masks and presence."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class QueryConfig:
    """How scores become answers.

    Attributes:
        threshold: smallest score of a masked pixel where the caller gives none; 0.5 = likelier than any rival.
        logit_scale: inverse temperature of the softmax over names for backends that do not state their own.
        presence_share: share of the pixels, the best ones, whose mean score says whether a text is in view.
        presence_low, presence_high: that mean where presence reaches 0 and 1.
        min_alpha: pixels of a rendered view that are less covered get score 0.
        render_width: rendered views are scored at most this wide, then enlarged.
    """

    threshold: float = 0.5
    logit_scale: float = 20.0
    presence_share: float = 0.01
    presence_low: float = 0.47
    presence_high: float = 0.95
    min_alpha: float = 0.3
    render_width: int = 256


def text_scores(cosines: Tensor, adopted: Tensor, kinship: Tensor, logit_scale: float) -> Tensor:
    """Turn cosines into how much likelier each text is than its best rival: 0.5 is a draw.

    With logits l = s cos, a text takes the logits of the names it adopts, l_t = max(l_t, l_j + log w_tj), and
    score_t = sigmoid(l_t - max over rivals). Rivals are the names, less so the more they are adopted
    (l_j + log(1 - w_j), w_j = max over texts), and the other texts, less so the more they mean the same
    (l_u + log(1 - kinship_tu)).

    Args:
        cosines: [P, T + N] of the texts, then of the background names.
        adopted: [T, N] in [0, 1], from `vocabulary.adoption`.
        kinship: [T, T] in [0, 1], from `vocabulary.kinship`.
        logit_scale: s, inverse temperature of the softmax that the features were trained with.

    Returns:
        [P, T] float32 in [0, 1].
    """
    count = adopted.shape[0]
    logits = logit_scale * cosines
    texts, names = logits[:, :count].clone(), logits[:, count:]
    adopted = adopted.to(logits)
    for t, j in adopted.nonzero().tolist():
        texts[:, t] = torch.maximum(texts[:, t], names[:, j] + adopted[t, j].log())
    rivals = (names + (1 - adopted.max(0).values).log()).amax(1, keepdim=True)
    return (texts - torch.maximum(rivals, _best_other(texts, kinship.to(logits)))).sigmoid()


def _best_other(logits: Tensor, kinship: Tensor) -> Tensor:
    """Return per text [P, T] the largest logit among the other texts, reduced by log(1 - kinship)."""
    count = logits.shape[1]
    if count == 1:
        return torch.full_like(logits, -torch.inf)
    best = logits.topk(2, dim=1)
    is_first = best.indices[:, :1] == torch.arange(count, device=logits.device)
    out = torch.where(is_first, best.values[:, 1:], best.values[:, :1])
    related = (kinship > 0) & ~torch.eye(count, dtype=torch.bool, device=kinship.device)
    for t in related.any(1).nonzero().flatten().tolist():
        reduced = logits + (1 - kinship[t]).log()
        reduced[:, t] = -torch.inf
        out[:, t] = reduced.amax(1)
    return out


def to_image(
    scores: NDArray[np.float32], grid_to_image: NDArray[np.float64], image_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Enlarge a map from the feature grid to the image, bilinearly; pixels outside the grid's crop get 0.

    Args:
        scores: [h, w] float32.
        grid_to_image: [3, 3] affine, grid pixel -> image pixel.
        image_size: (height, width) of the image given.

    Returns:
        [height, width] float32.
    """
    height, width = image_size
    if _covers(np.asarray(grid_to_image, np.float64), scores.shape[:2], image_size):
        return np.asarray(cv2.resize(scores, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    A: NDArray[np.float64] = np.linalg.inv(np.asarray(grid_to_image, np.float64))
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(scores, A[:2], (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return _zero_outside(np.asarray(large, np.float32), A, (scores.shape[0], scores.shape[1]))


def _covers(grid_to_image: NDArray[np.float64], grid: tuple[int, ...], image_size: tuple[int, int]) -> bool:
    """Whether a grid (h, w) covers the image, to 1e-3 pixels: then enlarging it is resizing, which is fast."""
    (h, w), (height, width) = grid, image_size
    sx, sy = width / w, height / h
    resized = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    corners = np.array([[-0.5, -0.5, 1], [w - 0.5, -0.5, 1], [-0.5, h - 0.5, 1]]).T
    return bool(np.abs((grid_to_image - resized) @ corners).max() < 1e-3)


def _zero_outside(
    large: NDArray[np.float32], image_to_grid: NDArray[np.float64], grid: tuple[int, int]
) -> NDArray[np.float32]:
    """Set pixels to 0, in place, whose position on the grid (h, w) is not within one of its pixels."""
    A, (h, w) = image_to_grid, grid
    x, y = np.arange(large.shape[1]), np.arange(large.shape[0])
    if A[0, 1] == 0 and A[1, 0] == 0:  # crop and scale only: whole rows and columns
        u, v = A[0, 0] * x + A[0, 2], A[1, 1] * y + A[1, 2]
        large[:, (u < -0.5) | (u > w - 0.5)] = 0
        large[(v < -0.5) | (v > h - 0.5)] = 0
        return large
    u = A[0, 0] * x + A[0, 1] * y[:, None] + A[0, 2]
    v = A[1, 0] * x + A[1, 1] * y[:, None] + A[1, 2]
    large[(u < -0.5) | (u > w - 0.5) | (v < -0.5) | (v > h - 0.5)] = 0
    return large


def presence(scores: Tensor, config: QueryConfig) -> list[float]:
    """Say per text whether it is in view at all.

    The mean score of the best `presence_share` of the pixels, between `presence_low` (0) and `presence_high` (1).

    Args:
        scores: [P, T] of all views.
        config: share and limits.

    Returns:
        T values in [0, 1].
    """
    if scores.shape[0] == 0:
        return [0.0] * scores.shape[1]
    count = max(1, round(config.presence_share * scores.shape[0]))
    best = scores.topk(count, dim=0).values.mean(0)
    spread = max(config.presence_high - config.presence_low, 1e-6)
    return [float(p) for p in ((best - config.presence_low) / spread).clamp(0, 1)]


def masks_and_labels(
    scores: list[NDArray[np.float32]], thresholds: list[float]
) -> tuple[list[NDArray[np.bool_]], NDArray[np.int32]]:
    """Cut masks and name the best text per pixel.

    Args:
        scores: per text [H, W].
        thresholds: per text.

    Returns:
        Per text bool [H, W], and int32 [H, W] index of the best text among those whose mask is set, -1 elsewhere.
    """
    masks = [score >= limit for score, limit in zip(scores, thresholds, strict=True)]
    best = np.full(scores[0].shape, -np.inf, np.float32)
    labels = np.full(scores[0].shape, -1, np.int32)
    for index, (score, mask) in enumerate(zip(scores, masks, strict=True)):
        better = mask & (score > best)
        np.copyto(labels, index, where=better)
        np.copyto(best, score, where=better)
    return masks, labels
