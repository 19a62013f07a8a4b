"""Point clouds from predictions: filter, label, thin out, cap, join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
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
        return PointCloud(
            self.points[index], self.rgb[index], self.confidence[index], self.label[index], self.score[index]
        )

    def transform(self, sim3: Sim3) -> PointCloud:
        """Return the points in another frame or unit."""
        raise NotImplementedError

    @staticmethod
    def empty() -> PointCloud:
        """Return a cloud of no points."""
        raise NotImplementedError

    @staticmethod
    def concatenate(parts: Sequence[PointCloud]) -> PointCloud:
        """Join clouds of one frame."""
        raise NotImplementedError


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
) -> PointCloud:
    """Make the filtered cloud of one view.

    Args:
        prediction: in any frame (after `Prediction.transform`); the cloud is in the same.
        view: which view.
        labels: [H, W] int at the resolution of the image given, -1 for none (QueryResult.labels[v]), or None.
        scores: [H, W] float32 score of that label, same grid, or None.
        mask: [H, W] bool of pixels to leave out (the robot itself), same grid, or None.
        config: filters.
    """
    raise NotImplementedError


def voxel_downsample(cloud: PointCloud, voxel: float) -> PointCloud:
    """Keep one point per cube: mean position and colour, label, score and confidence of its most confident point.

    Args:
        cloud: in any frame.
        voxel: edge length in the cloud's unit; <= 0 returns the cloud as it is.

    Returns:
        Points in the order of their voxels, the same for any order of the input up to rounding of the means.
    """
    raise NotImplementedError


def cap_points(cloud: PointCloud, limit: int) -> PointCloud:
    """Thin a cloud to at most `limit` points, evenly in space with preference for confident ones.

    Deterministic: weighted sampling (Efraimidis and Spirakis 2006) with a fixed hash of the index as randomness.
    """
    raise NotImplementedError


def union_clouds(clouds: Sequence[PointCloud], voxel: float, limit: int) -> PointCloud:
    """Join clouds of one frame, thin them by voxels and cap them: the map of a segment."""
    raise NotImplementedError


def relative_voxel(median_depth: float, share: float = 0.01) -> float:
    """Return a voxel edge for clouds without metres: a share of the median depth."""
    return share * median_depth
