"""Things of several keyframes: what each one shows of a thing is put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping.clouds import PointCloud, voxel_downsample
from lsm_core.query.instances import Instance, InstanceConfig, cloud_radius, find_instances, point_spacing
from lsm_core.types import Sim3

VOXEL_SHARE = 0.02  # of a keyframe's radius: edge of the cubes its points are thinned to
MIN_VOXELS = 8  # of a thing, after thinning


@dataclass(frozen=True)
class _Part:
    """What one keyframe adds: its things' points, thinned, and its gap and voxel in the map's unit."""

    cloud: PointCloud
    gap: float
    voxel: float


class InstanceMap:
    """Collects the things of keyframes in one map frame and merges those of a text that touch. Single-threaded.

    Each keyframe's labelled points are grouped and filtered by themselves first (`find_instances`), so that crumbs
    and doubtful regions of many views do not add up; the regions that are left are joined over the keyframes.
    """

    def __init__(self, config: InstanceConfig | None = None) -> None:
        self._config = config or InstanceConfig()
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
        members = [thing.members for thing in things]
        chosen = cloud.select(np.concatenate(members) if members else np.zeros(0, np.int64))
        voxel = VOXEL_SHARE * radius
        thin = _thin(chosen, voxel)
        spacing = self._config.spacing_gap * point_spacing(thin.points.astype(np.float64))
        self._parts[key] = _Part(thin, max(self._config.relative_gap * radius, spacing), voxel)

    def remove(self, keys: Iterable[int]) -> None:
        """Forget keyframes."""
        for key in keys:
            self._parts.pop(key, None)

    def clear(self) -> None:
        """Forget all: the map has another frame."""
        self._parts.clear()

    def things(self, unit: float = 1.0, up: NDArray[np.float64] | None = None) -> list[Instance]:
        """Return the things of all keyframes.

        Args:
            unit: what one unit of the map is in the unit wanted (metres per unit, say).
            up: direction away from the floor in the map's frame, see `find_instances`.
        """
        parts = list(self._parts.values())
        if not parts:
            return []
        whole = _thin(PointCloud.concatenate([p.cloud for p in parts]), float(np.median([p.voxel for p in parts])))
        gap = self._config.gap or float(np.median([p.gap for p in parts]))
        config = replace(self._config, gap=unit * gap, min_points=MIN_VOXELS)
        return find_instances(whole.transform(Sim3.from_matrix(np.diag([unit, unit, unit, 1.0]))), up, config)


def _thin(cloud: PointCloud, voxel: float) -> PointCloud:
    """Thin by voxels, each text by itself: a thing never loses its points to another one's."""
    if len(cloud) == 0:
        return cloud
    parts = [cloud.select(cloud.label == label) for label in np.unique(cloud.label)]
    return PointCloud.concatenate([voxel_downsample(part, voxel) for part in parts])
