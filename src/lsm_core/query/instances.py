"""Separate things in a labelled cloud: connected regions in 3D, with centroid, extent and oriented box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from lsm_core.errors import InputError
from lsm_core.mapping.clouds import PointCloud
from lsm_core.query.region_joining import JoinConfig, join_regions

FloatArray = NDArray[np.float64]
SPACING_SAMPLE = 400


@dataclass(frozen=True)
class InstanceConfig:
    """What makes a thing.

    Attributes:
        gap: points of one text nearer than this belong together, in the cloud's unit; 0 takes the larger of
            `relative_gap` and `spacing_gap`.
        relative_gap: the same as a share of the median distance between the cloud's centre and its points.
        spacing_gap: the same in distances between neighbours, so that a surface that is far away or seen at a
            slant, where the points of a grid are far apart, does not fall to pieces.
        min_points: smaller regions are dropped.
        min_score: regions with a lower mean score are dropped.
        join: which of the regions that are left are pieces of one thing.
        trim: share of the points at either end of each axis that the box leaves out (stray points).
        max_instances: the best scored ones are kept, per text.
    """

    gap: float = 0.0
    relative_gap: float = 0.06
    spacing_gap: float = 1.5
    min_points: int = 60
    min_score: float = 0.6
    join: JoinConfig = field(default_factory=JoinConfig)
    trim: float = 0.02
    max_instances: int = 20


@dataclass(frozen=True)
class Instance:
    """One thing.

    Attributes:
        label: index of the text.
        score: mean score of its points in [0, 1].
        points: number of its points.
        centroid: [3] float64 median of its points, in the cloud's frame and unit.
        T_frame_box: [4, 4] float64 rigid, box to the cloud's frame; the origin is the centre of the box.
        size: [3] float64 full edge lengths along the box's axes.
        id: stable number from `InstanceTracker`, 0 before it was tracked.
        members: [points] int64 which points of the cloud it is made of.
    """

    label: int
    score: float
    points: int
    centroid: FloatArray
    T_frame_box: FloatArray
    size: FloatArray
    id: int = 0
    members: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), repr=False, compare=False)


def find_instances(
    cloud: PointCloud, up: Sequence[float] | FloatArray | None = None, config: InstanceConfig | None = None
) -> list[Instance]:
    """Group the labelled points of a cloud into things.

    Args:
        cloud: labels are indices of texts, `NO_LABEL` without; any frame.
        up: [3] direction away from the floor in the cloud's frame: boxes stand upright then. None takes the
            principal axes.
        config: limits.

    Returns:
        Things ordered by label, then by score, best first.

    Raises:
        InputError: `up` is not a finite direction.
    """
    limits = config or InstanceConfig()
    axis = None if up is None else _unit(np.asarray(up, dtype=np.float64))
    relative = limits.relative_gap * cloud_radius(cloud)
    found: list[Instance] = []
    for label in np.unique(cloud.label[cloud.score > 0]):
        own = np.flatnonzero((cloud.label == label) & (cloud.score > 0))
        part = cloud.select(own)
        points = part.points.astype(np.float64)
        gap = limits.gap if limits.gap > 0 else max(relative, limits.spacing_gap * point_spacing(points))
        regions = [r for r in _regions(points, gap) if _counts(part.score[r], limits)]
        things = [
            replace(_describe(part.select(region), int(label), axis, limits), members=own[region])
            for region in join_regions(points, regions, limits.join)
        ]
        found += sorted(things, key=lambda t: -t.score * np.sqrt(t.points))[: limits.max_instances]
    return found


def cloud_radius(cloud: PointCloud) -> float:
    """Return the median distance between the points and their middle, 1 without points."""
    if len(cloud) == 0:
        return 1.0
    centre = np.median(cloud.points, axis=0)
    return max(float(np.median(np.linalg.norm(cloud.points - centre, axis=1))), 1e-9)


def point_spacing(points: FloatArray) -> float:
    """Return the distance to the fourth neighbour that 90 % of a sample of the points stay below, 0 with too few.

    Four neighbours, because on a grid that is seen at a slant the first ones lie all along one direction.
    """
    if len(points) < 5:
        return 0.0
    sample = points[:: max(1, len(points) // SPACING_SAMPLE)]
    return float(np.quantile(cKDTree(points).query(sample, k=5)[0][:, 4], 0.9))


def _unit(direction: FloatArray) -> FloatArray:
    norm = float(np.linalg.norm(direction))
    if direction.shape != (3,) or not np.isfinite(norm) or norm == 0:
        raise InputError(
            "`up` must be a finite direction of three numbers.", "For a level optical frame: 0, -1, 0."
        )
    return direction / norm


def _regions(points: FloatArray, gap: float) -> list[NDArray[np.int64]]:
    """Return the indices of each set of points that chains of steps shorter than `gap` connect.

    Points are joined through the cells (edge gap / sqrt(3), so all points of a cell are near each other) they fill.
    """
    if len(points) == 0:
        return []
    edge = gap / np.sqrt(3)
    cells, member = np.unique(np.floor(points / edge).astype(np.int64), axis=0, return_inverse=True)
    member = member.reshape(-1)
    means = np.stack([np.bincount(member, points[:, k]) for k in range(3)], 1) / np.bincount(member)[:, None]
    pairs = cKDTree(means).query_pairs(gap, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(cells), len(cells)))
    count, of_cell = connected_components(graph, directed=False)
    of_point = of_cell[member]
    order = np.argsort(of_point, kind="stable")
    return list(np.split(order, np.cumsum(np.bincount(of_point, minlength=count))[:-1]))


def _counts(scores: NDArray[np.float32], limits: InstanceConfig) -> bool:
    """Whether a region with these scores is large and sure enough."""
    return len(scores) >= limits.min_points and float(scores.mean()) >= limits.min_score


def _describe(region: PointCloud, label: int, up: FloatArray | None, limits: InstanceConfig) -> Instance:
    points = region.points.astype(np.float64)
    axes = _box_axes(points, up)
    along = points @ axes  # [N, 3] coordinates along the box's axes
    low, high = np.quantile(along, [limits.trim, 1 - limits.trim], axis=0)
    T = np.eye(4)
    T[:3, :3], T[:3, 3] = axes, axes @ (0.5 * (low + high))
    return Instance(label, float(region.score.mean()), len(region), np.median(points, axis=0), T, high - low)


def _box_axes(points: FloatArray, up: FloatArray | None) -> FloatArray:
    """Return a proper rotation [3, 3] whose columns are the axes of the box.

    With `up`: z is up, x and y are the sides of the smallest rectangle around the points seen from above. Without:
    the principal axes, longest first.
    """
    if up is None or len(points) < 3:
        centred = points - points.mean(0)
        axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1]
        return axes * np.array([1.0, 1.0, np.sign(np.linalg.det(axes))])
    helper = np.eye(3)[int(np.abs(up).argmin())]
    x = np.cross(helper, up) / np.linalg.norm(np.cross(helper, up))
    floor = np.stack([x, np.cross(up, x)], 1)  # [3, 2]
    _, _, angle = cv2.minAreaRect(np.ascontiguousarray((points - points.mean(0)) @ floor, dtype=np.float32))
    return np.column_stack([floor, up]) @ Rotation.from_euler("z", angle, degrees=True).as_matrix()
