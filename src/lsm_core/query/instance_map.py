"""Things of several keyframes: what each one shows of a thing is put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping.cloud_thinning import voxel_downsample
from lsm_core.mapping.clouds import PointCloud
from lsm_core.query.instances import Instance, InstanceConfig, cloud_radius, find_instances, point_spacing
from lsm_core.types import Sim3

VOXEL_SHARE = 0.02  # of a keyframe's radius: edge of the cubes its points are thinned to
MIN_VOXELS = 8  # of a thing, after thinning
CELL_GAPS = 4.0  # edge, in gaps, of the cells in which keyframes are compared: their geometry differs that much
AGREEMENT = 0.35  # chosen on rooms by tools/instance_report.py


@dataclass(frozen=True)
class _Part:
    """What one keyframe adds, in the map's unit.

    Attributes:
        cloud: its things' points, thinned.
        rest: its other points, thinned, without labels.
        gap, voxel: for its points.
    """

    cloud: PointCloud
    rest: PointCloud
    gap: float
    voxel: float


class InstanceMap:
    """Collects the things of keyframes in one map frame and merges those of a text that touch. Single-threaded.

    Each keyframe's labelled points are grouped and filtered by themselves first (`find_instances`), so that crumbs
    and doubtful regions of many views do not add up; the regions that are left are joined over the keyframes. What
    most of the keyframes that see the place take for something else is left out.
    """

    def __init__(self, config: InstanceConfig | None = None, agreement: float = AGREEMENT) -> None:
        """Begin with nothing.

        Args:
            config: limits of what is a thing.
            agreement: share of the keyframes that see a thing's place and must take it for the thing.
        """
        self._config = config or InstanceConfig()
        self._agreement = agreement
        self._texts: tuple[str, ...] = ()
        self._parts: dict[int, _Part] = {}

    def add(self, key: int, cloud: PointCloud, texts: Sequence[str]) -> None:
        """Take a keyframe's labelled points.

        Args:
            key: of the keyframe; an earlier one of this key is replaced.
            cloud: in the map's frame and unit, labels index `texts`.
            texts: of the labels; other ones than before make a new beginning.
        """
        if tuple(texts) != self._texts:
            self.clear()
            self._texts = tuple(texts)
        radius = cloud_radius(cloud)
        things = find_instances(cloud, config=self._config)
        chosen = np.zeros(len(cloud), bool)
        for thing in things:
            chosen[thing.members] = True
        voxel = VOXEL_SHARE * radius
        thin, rest = _thin(cloud.select(chosen), voxel), voxel_downsample(cloud.select(~chosen), voxel)
        spacing = self._config.spacing_gap * point_spacing(thin.points.astype(np.float64))
        self._parts[key] = _Part(thin, rest, max(self._config.relative_gap * radius, spacing), voxel)

    def remove(self, keys: Iterable[int]) -> None:
        """Forget keyframes."""
        for key in keys:
            self._parts.pop(key, None)

    def clear(self) -> None:
        """Forget all: the map has another frame."""
        self._parts.clear()

    def things(self, unit: float = 1.0, up: NDArray[np.float64] | None = None) -> list[Instance]:
        """Return the things of all keyframes; their members index `cloud()`.

        Args:
            unit: what one unit of the map is in the unit wanted (metres per unit, say).
            up: direction away from the floor in the map's frame, see `find_instances`.
        """
        parts = list(self._parts.values())
        whole = self.cloud()
        if not len(whole):
            return []
        gap = self._config.gap or float(np.median([p.gap for p in parts]))
        config = replace(self._config, gap=unit * gap, min_points=MIN_VOXELS)
        things = find_instances(whole.transform(Sim3.from_matrix(np.diag([unit, unit, unit, 1.0]))), up, config)
        agreement = _Agreement(parts, CELL_GAPS * gap)
        return [t for t in things if agreement.of(whole.points[t.members], t.label) >= self._agreement]

    def cloud(self) -> PointCloud:
        """Return the points that things are made of, in the map's frame and unit."""
        parts = list(self._parts.values())
        if not parts:
            return PointCloud.empty()
        return _thin(PointCloud.concatenate([p.cloud for p in parts]), float(np.median([p.voxel for p in parts])))


class _Agreement:
    """How far the keyframes that see a place take it for one thing, by cells of space."""

    def __init__(self, parts: Sequence[_Part], cell: float) -> None:
        self._cell = cell
        clouds = [cloud for part in parts for cloud in (part.cloud, part.rest)]
        points = np.concatenate([cloud.points for cloud in clouds])
        self._labels = np.concatenate(
            [a for p in parts for a in (p.cloud.label.astype(np.int64), np.full(len(p.rest), -1))]
        )
        self._low = np.floor(points.min(0) / cell).astype(np.int64)
        keyframe = np.repeat(np.arange(len(clouds)) // 2, [len(cloud) for cloud in clouds])
        self._keys, of_point = np.unique(self._key(points), return_inverse=True)
        self._slot = keyframe * len(self._keys) + of_point.reshape(-1)
        self._shape = (len(parts), len(self._keys))
        self._points = self._count(np.ones(len(points), bool))
        self._votes: dict[int, NDArray[np.float64]] = {}

    def of(self, points: NDArray[np.float32], label: int) -> float:
        """Return the mean over points of how far keyframes give their place this label, 0 to 1."""
        if label not in self._votes:
            shares = self._count(self._labels == label) / np.maximum(self._points, 1)
            self._votes[label] = shares.sum(0) / (self._points > 0).sum(0)
        at = np.searchsorted(self._keys, self._key(points)).clip(max=len(self._keys) - 1)
        known = self._keys[at] == self._key(points)
        return float(self._votes[label][at[known]].mean()) if known.any() else 0.0

    def _key(self, points: NDArray[np.float32]) -> NDArray[np.int64]:
        cells = np.floor(points / self._cell).astype(np.int64) - self._low
        return np.asarray((cells[:, 0] << 42) | (cells[:, 1] << 21) | cells[:, 2], np.int64)

    def _count(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return how many of the chosen points each keyframe has in each cell."""
        return (
            np.bincount(self._slot[chosen], minlength=int(np.prod(self._shape))).reshape(self._shape).astype(float)
        )


def _thin(cloud: PointCloud, voxel: float) -> PointCloud:
    """Thin by voxels, each text by itself: a thing never loses its points to another one's."""
    if len(cloud) == 0:
        return cloud
    parts = [cloud.select(cloud.label == label) for label in np.unique(cloud.label)]
    return PointCloud.concatenate([voxel_downsample(part, voxel) for part in parts])
