"""Point clouds from predictions: filter, label, join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.types import Prediction, Sim3

NO_LABEL = 65535


@dataclass(frozen=True)
class PointCloud:
    """Points in one frame.

    Attributes:
        points: [N, 3] float32.
        rgb: [N, 3] uint8.
        confidence: [N] float32.
        label: [N] uint16 index of the text, NO_LABEL without.
        score: [N] float32 score of that label, 0 without.
    """

    points: NDArray[np.float32]
    rgb: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    label: NDArray[np.uint16]
    score: NDArray[np.float32]

    def __len__(self) -> int:
        return int(self.points.shape[0])

    def select(self, index: NDArray[np.generic]) -> PointCloud:
        """Return the points picked by a bool mask [N] or an index array."""
        rows = np.flatnonzero(index) if index.dtype == bool else index
        return PointCloud(*(getattr(self, f.name).take(rows, axis=0) for f in fields(PointCloud)))

    def named(self, found: NDArray[np.int32], scores: NDArray[np.float32] | None) -> PointCloud:
        """Return the same points with other labels: found [N] with -1 for none, and their scores [N] or None."""
        label = np.where(found >= 0, found, NO_LABEL).astype(np.uint16)
        score = np.zeros(len(label), np.float32)
        if scores is not None:
            score = np.where(found >= 0, scores, 0).astype(np.float32)
        return replace(self, label=label, score=score)

    def transform(self, sim3: Sim3) -> PointCloud:
        """Return the points in another frame or unit."""
        R = sim3.rotation.numpy()
        moved = sim3.scale * (self.points.astype(np.float64) @ R.T) + sim3.translation.numpy()
        return replace(self, points=moved.astype(np.float32))

    @staticmethod
    def empty() -> PointCloud:
        """Return a cloud of no points."""
        return PointCloud(
            np.zeros((0, 3), np.float32),
            np.zeros((0, 3), np.uint8),
            np.zeros(0, np.float32),
            np.zeros(0, np.uint16),
            np.zeros(0, np.float32),
        )

    @staticmethod
    def concatenate(parts: Sequence[PointCloud]) -> PointCloud:
        """Join clouds of one frame."""
        if not parts:
            return PointCloud.empty()
        return PointCloud(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(PointCloud)))


@dataclass(frozen=True)
class CloudConfig:
    """How a cloud is made from maps.

    Attributes:
        min_confidence: absolute limit, in the backend's measure.
        drop_lowest: share of the least confident pixels of a view that is dropped.
        max_edge: largest relative depth difference within 3x3 pixels; above is an edge, whose pixels float in air.
        max_depth_ratio: points beyond this many times the view's median depth are dropped.
    """

    min_confidence: float = 0.0
    drop_lowest: float = 0.2
    max_edge: float = 0.12
    max_depth_ratio: float = 6.0


def cloud_from_view(
    prediction: Prediction,
    view: int,
    labels: NDArray[np.int32] | None = None,
    scores: NDArray[np.float32] | None = None,
    mask: NDArray[np.bool_] | None = None,
    config: CloudConfig | None = None,
    labels_on_grid: bool = False,
) -> PointCloud:
    """Make the filtered cloud of one view.

    Args:
        prediction: in any frame (after `Prediction.transform`); the cloud is in the same.
        view: which view.
        labels: [H, W] int at the resolution of the image given, -1 for none (QueryResult.labels[v]), or None.
        scores: [H, W] float32 score of that label, same grid, or None.
        mask: [H, W] bool of pixels to leave out (the robot itself), same grid, or None.
        config: filters.
        labels_on_grid: labels and scores are [h, w] on the model's grid, one per point, and not the image's.
    """
    rows = cloud_pixels(prediction, view, mask, config)
    cloud = cloud_of_pixels(prediction, view, rows)
    if labels is None:
        return cloud
    at = rows
    if not labels_on_grid:
        x, y, _ = image_pixels(prediction, view)
        at = (y * labels.shape[1] + x).take(rows)
    return cloud.named(labels.take(at), None if scores is None else scores.take(at))


def cloud_pixels(
    prediction: Prediction, view: int, mask: NDArray[np.bool_] | None = None, config: CloudConfig | None = None
) -> NDArray[np.int64]:
    """Return the pixels [N] of a view's model grid that make its cloud, row by row; see `cloud_from_view`."""
    points, confidence = _map(prediction.pointmaps[view]), _map(prediction.confidence[view])
    keep = reliable_pixels(_map(prediction.depth(view)), confidence, config or CloudConfig())
    for axis in range(3):
        keep &= np.isfinite(points[..., axis])
    x, y, inside = image_pixels(prediction, view)
    keep &= inside
    if mask is not None:
        keep[inside] &= ~mask[y[inside], x[inside]]
    return np.flatnonzero(keep)


def cloud_of_pixels(prediction: Prediction, view: int, rows: NDArray[np.int64]) -> PointCloud:
    """Return the points of some pixels [N] of a view's model grid, without labels."""
    # Taking rows by number is several times faster than by a mask.
    return PointCloud(
        _map(prediction.pointmaps[view]).reshape(-1, 3).take(rows, axis=0),
        prediction.colors[view].reshape(-1, 3).take(rows, axis=0),
        _map(prediction.confidence[view]).take(rows),
        np.full(len(rows), NO_LABEL, np.uint16),
        np.zeros(len(rows), np.float32),
    )


def reliable_pixels(
    depth: NDArray[np.float32], confidence: NDArray[np.float32], limits: CloudConfig
) -> NDArray[np.bool_]:
    """Return [h, w] bool: finite, in front, confident, not at a depth edge, not far beyond the rest."""
    valid = np.isfinite(depth) & (depth > 0) & np.isfinite(confidence)
    if not valid.any():
        return valid
    lowest = float(np.quantile(confidence[valid], limits.drop_lowest))
    middle = float(np.median(depth[valid]))
    keep = valid & (confidence >= max(limits.min_confidence, lowest)) & (depth <= limits.max_depth_ratio * middle)
    filled = np.where(valid, depth, middle).astype(np.float32)
    kernel = np.ones((3, 3), np.uint8)
    near, far = cv2.erode(filled, kernel), cv2.dilate(filled, kernel)
    return keep & (far - near <= limits.max_edge * near)


def image_pixels(
    prediction: Prediction, view: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return x, y [h, w] of the nearest pixel of the image given per model-grid pixel, and whether it exists."""
    h, w = prediction.pointmaps[view].shape[:2]
    A = prediction.grid_to_image[view].detach().to("cpu", torch.float64).numpy()
    v, u = np.mgrid[:h, :w].astype(np.float64)
    x = np.rint(A[0, 0] * u + A[0, 1] * v + A[0, 2]).astype(np.int64)
    y = np.rint(A[1, 0] * u + A[1, 1] * v + A[1, 2]).astype(np.int64)
    height, width = prediction.image_sizes[view]
    return x, y, (x >= 0) & (y >= 0) & (x < width) & (y < height)


def _map(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().to("cpu", torch.float32).numpy())
