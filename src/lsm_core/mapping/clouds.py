"""Point clouds from predictions: filter, label, thin out, cap, join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from lsm_core.errors import InputError
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
    limits = config or CloudConfig()
    points = prediction.pointmaps[view].detach().to("cpu", torch.float32).numpy()
    confidence = prediction.confidence[view].detach().to("cpu", torch.float32).numpy()
    depth = prediction.depth(view).detach().to("cpu", torch.float32).numpy()
    keep = reliable_pixels(depth, confidence, limits)
    for axis in range(3):
        keep &= np.isfinite(points[..., axis])
    x, y, inside = image_pixels(prediction, view)
    keep &= inside
    if mask is not None:
        keep[inside] &= ~mask[y[inside], x[inside]]
    rows = np.flatnonzero(keep)  # taking rows by number is several times faster than by a mask
    label = np.full(len(rows), NO_LABEL, np.uint16)
    score = np.zeros(len(rows), np.float32)
    if labels is not None:
        pixels = rows if labels_on_grid else (y * labels.shape[1] + x).take(rows)
        found = labels.take(pixels)
        label = np.where(found >= 0, found, NO_LABEL).astype(np.uint16)
        if scores is not None:
            score = np.where(found >= 0, scores.take(pixels), 0).astype(np.float32)
    rgb = prediction.colors[view].reshape(-1, 3).take(rows, axis=0)
    return PointCloud(points.reshape(-1, 3).take(rows, axis=0), rgb, confidence.take(rows), label, score)


def voxel_downsample(cloud: PointCloud, voxel: float) -> PointCloud:
    """Keep one point per cube: mean position and colour, label, score and confidence of its most confident point.

    Args:
        cloud: in any frame.
        voxel: edge length in the cloud's unit; <= 0 returns the cloud as it is.

    Returns:
        Points in the order of their voxels, the same for any order of the input up to rounding of the means.
    """
    if voxel <= 0 or len(cloud) == 0:
        return cloud
    cells = np.floor(np.ascontiguousarray(cloud.points.T, np.float64) / voxel)  # [3, N]: one axis after another
    cells = (cells - cells.min(1, keepdims=True)).astype(np.int64)
    if int(cells.max()) >= 1 << 21:
        raise InputError(
            f"The cloud spans {int(cells.max())} voxels of {voxel:g}; at most {1 << 21} are possible.",
            "Use a larger voxel, or drop points far away.",
        )
    key = (cells[0] << 42) | (cells[1] << 21) | cells[2]
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    counts = np.diff(starts, append=len(order))
    best = order[_first_of_maximum(cloud.confidence[order], starts, counts)]

    def mean(values: NDArray[np.generic]) -> NDArray[np.float64]:
        rows = values.take(order, axis=0).astype(np.float64)
        return np.add.reduceat(rows, starts, axis=0) / counts[:, None]

    return PointCloud(
        mean(cloud.points).astype(np.float32),
        np.rint(mean(cloud.rgb)).astype(np.uint8),
        cloud.confidence.take(best),
        cloud.label.take(best),
        cloud.score.take(best),
    )


def cap_points(cloud: PointCloud, limit: int) -> PointCloud:
    """Thin a cloud to at most `limit` points, evenly in space with preference for confident ones.

    Deterministic: weighted sampling (Efraimidis and Spirakis 2006) with a fixed hash of the index as randomness.
    """
    n = len(cloud)
    if n <= limit:
        return cloud
    if limit <= 0:
        return PointCloud.empty()
    rank = np.empty(n)
    rank[np.argsort(cloud.confidence, kind="stable")] = np.linspace(0.5, 1.5, n)
    key = np.log(_hashed_uniform(n)) / rank
    return cloud.select(np.sort(np.argpartition(key, n - limit)[n - limit :]))


def union_clouds(clouds: Sequence[PointCloud], voxel: float, limit: int) -> PointCloud:
    """Join clouds of one frame, thin them by voxels and cap them: the map of a segment."""
    return cap_points(voxel_downsample(PointCloud.concatenate(clouds), voxel), limit)


def relative_voxel(median_depth: float, share: float = 0.01) -> float:
    """Return a voxel edge for clouds without metres: a share of the median depth."""
    return share * median_depth


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


def _first_of_maximum(
    values: NDArray[np.float32], starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the position of the first maximum of each run (runs given by start and length)."""
    run = np.repeat(np.arange(len(starts)), counts)
    at = np.flatnonzero(values == np.maximum.reduceat(values, starts)[run])
    return at[np.flatnonzero(np.diff(run[at], prepend=-1))]


def _hashed_uniform(n: int) -> NDArray[np.float64]:
    """Return n fixed numbers in (0, 1) that look random: splitmix64 of the index."""
    with np.errstate(over="ignore"):
        z = (np.arange(1, n + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54
