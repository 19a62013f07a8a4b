"""Scores of texts on the grids of the features, and the two ways on: to the image's pixels, or to points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.query.text_to_mask import QueryConfig, masks_and_labels, presence, to_image
from lsm_core.types import Prediction, QueryResult


@dataclass(frozen=True)
class ScoredGrid:
    """Scores [h, w, T] on a grid and where that grid lies in an image."""

    scores: Tensor
    grid_to_image: NDArray[np.float64]
    image_size: tuple[int, int]


@dataclass(frozen=True, eq=False)
class ScoredTexts:
    """What a set of texts scores in views or cameras.

    Attributes:
        texts: the T texts asked, in order.
        grids: one per view or camera.
        thresholds: per text, smallest score that counts.
        config: how presence is found.
    """

    texts: tuple[str, ...]
    grids: tuple[ScoredGrid, ...]
    thresholds: tuple[float, ...]
    config: QueryConfig

    def answer(self) -> QueryResult:
        """Return masks, scores and labels at the resolution of the images, and presence."""
        masks, scores, labels = [], [], []
        for grid in self.grids:
            maps = grid.scores.numpy()
            per_text = [
                to_image(np.ascontiguousarray(maps[..., t]), grid.grid_to_image, grid.image_size)
                for t in range(len(self.texts))
            ]
            view_masks, view_labels = masks_and_labels(per_text, list(self.thresholds))
            masks.append(view_masks)
            scores.append(per_text)
            labels.append(view_labels)
        # The best view speaks for the set: a thing that only one view shows is present.
        per_view = [presence(grid.scores.flatten(0, 1), self.config) for grid in self.grids]
        best = [max(values) for values in zip(*per_view, strict=True)] if per_view else [0.0] * len(self.texts)
        return QueryResult(self.texts, masks, scores, best, labels)

    def at_points(
        self, prediction: Prediction, view: int = 0, index: int = 0
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the label of each point of a view, without the way over the image's pixels.

        Scores are taken between the features' grid points where the model's grid is another one, so labels are
        those of `answer` at the pixels of the points, which lie up to half a pixel off, but for its rounding.

        Args:
            prediction: with the points.
            view: its view.
            index: which of `grids` is of that view.

        Returns:
            [h, w] int32 index of the best text whose threshold is reached, -1 for none, and [h, w] float32 its
            score, 0 for none; on the model's grid.
        """
        grid = self.grids[index]
        h, w = (int(n) for n in prediction.pointmaps[view].shape[:2])
        to_image_points = prediction.grid_to_image[view].detach().to("cpu", torch.float64).numpy()
        maps = _sampled(grid.scores.numpy(), np.linalg.inv(grid.grid_to_image) @ to_image_points, (h, w))
        per_text = [np.ascontiguousarray(maps[..., t]) for t in range(len(self.texts))]
        _, labels = masks_and_labels(per_text, list(self.thresholds))
        return labels, score_of_label(per_text, labels)


def score_of_label(scores: list[NDArray[np.float32]], labels: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return [H, W] the score of each pixel's label, 0 without a label.

    Args:
        scores: per text [H, W].
        labels: [H, W] index of the text, -1 for none.
    """
    out = np.zeros(labels.shape, np.float32)
    for index, values in enumerate(scores):
        np.copyto(out, values, where=labels == index)
    return out


def _sampled(maps: NDArray[np.float32], affine: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return maps [H, W, T] at the points of another grid [h, w, T], bilinearly; 0 outside the maps' crop.

    Args:
        maps: to be sampled.
        affine: [3, 3] pixels of the other grid to those of `maps`.
        shape: (h, w).
    """
    if maps.shape[:2] == shape and np.allclose(affine, np.eye(3), rtol=0, atol=1e-4):
        return maps
    height, width = maps.shape[:2]
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float64)
    u = affine[0, 0] * x + affine[0, 1] * y + affine[0, 2]
    v = affine[1, 0] * x + affine[1, 1] * y + affine[1, 2]
    (left, right, right_share), (upper, lower, lower_share) = _neighbours(u, width), _neighbours(v, height)
    above = maps[upper, left] * (1 - right_share) + maps[upper, right] * right_share
    below = maps[lower, left] * (1 - right_share) + maps[lower, right] * right_share
    out = np.asarray(above * (1 - lower_share) + below * lower_share, np.float32)
    out[(u < -0.5) | (u > width - 0.5) | (v < -0.5) | (v > height - 0.5)] = 0
    return out


def _neighbours(
    at: NDArray[np.float64], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return the grid points before and after positions [h, w], the border repeated, and the latter's share."""
    inside = np.clip(at, 0, size - 1)
    before = np.floor(inside).astype(np.int64)
    return before, np.minimum(before + 1, size - 1), (inside - before).astype(np.float32)[..., None]
