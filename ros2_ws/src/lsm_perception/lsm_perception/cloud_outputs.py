"""~/points, ~/map_points and ~/gaussians of one camera: filtered, thinned, capped, in the right frame and unit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from std_msgs.msg import Header

from lsm_core.mapping import (
    PointCloud,
    ScaleEstimate,
    cap_points,
    cloud_of_pixels,
    cloud_pixels,
    relative_voxel,
    thinned,
    union_clouds,
)
from lsm_core.types import Sim3
from lsm_perception.bandwidth import RateCap
from lsm_perception.conversions.clouds import cloud_message, gaussians_message
from lsm_perception.conversions.reports import header
from lsm_perception.frames import FrameNames
from lsm_perception.mapper import Mapper
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe, Products
from lsm_perception.publishers import Publishers
from lsm_perception.units import is_metric, metres


@dataclass(frozen=True, eq=False)
class _Draft:
    """A keyframe's cloud but for its labels, which the standing queries give meanwhile.

    Attributes:
        keyframe, scale: what it was made of.
        rows: [N] pixels of the model's grid that `whole` is of.
        whole: all points [N], map frame and unit.
        thin: points [M] to publish, in the frame and unit of ~/points.
        chosen: [M] which of `whole` their labels are of.
    """

    keyframe: Keyframe
    scale: ScaleEstimate
    rows: NDArray[np.int64]
    whole: PointCloud
    thin: PointCloud
    chosen: NDArray[np.int64]


class CloudOutputs:
    """Makes and publishes clouds; the map's parts are kept per keyframe."""

    def __init__(
        self, publishers: Publishers, names: FrameNames, mapper: Mapper, parameters: NodeParameters
    ) -> None:
        self._publishers = publishers
        self._names = names
        self._mapper = mapper
        self._parameters = parameters
        self._cap = RateCap(parameters.points.max_mb_per_s * 1e6)
        self._lock = threading.Lock()
        self._parts: OrderedDict[int, PointCloud] = OrderedDict()
        self._draft: _Draft | None = None
        self._map_source: Header | None = None
        self._map_stale = False
        self._loaded: PointCloud | None = None

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._parameters = parameters
        self._cap.set_rate(parameters.points.max_mb_per_s * 1e6)

    def prepare(self, keyframe: Keyframe, scale: ScaleEstimate) -> None:
        """Make what `publish_points` will publish of a keyframe, but for the labels, where anybody listens."""
        if keyframe.T_map_cam is not None and self._publishers.wants("points"):
            self._draft = self._make_draft(keyframe, scale)

    def publish_points(self, products: Products) -> None:
        """Publish the newest keyframe's cloud where anybody listens, and note that the map has changed."""
        if products.cleared:
            self._forget()
        keyframe = products.keyframe
        if keyframe.T_map_cam is None:
            return
        self._map_source = header(keyframe.stamp_ns, keyframe.frame_id)
        self._map_stale = True
        if self._publishers.wants("points"):
            self._publish_points(products)
        elif self._publishers.wants("map_points"):
            self._keep_part(products)

    def publish_map(self, scale: ScaleEstimate, keyframes: list[Keyframe]) -> None:
        """Publish the map when it has changed and anybody listens; called at intervals for late listeners.

        Args:
            scale: of the segment.
            keyframes: its newest ones, oldest first.
        """
        if not self._map_stale or self._map_source is None or not self._publishers.wants("map_points"):
            return
        metric, factor = is_metric(scale), metres(scale)
        cloud = self.map_cloud(scale, keyframes)
        if len(cloud) == 0:
            return
        frame = self._names.tree(metric).map
        message = cloud_message(
            cloud.transform(similarity(np.eye(4), factor)),
            Header(stamp=self._map_source.stamp, frame_id=frame),
        )
        if self._cap.allow(len(message.data)):
            self._publishers.publish("map_points", message)
            self._map_stale = False

    def map_cloud(self, scale: ScaleEstimate, keyframes: list[Keyframe]) -> PointCloud:
        """Return the voxel union of keyframes of one segment, or the cloud that was loaded; map frame and unit."""
        if self._loaded is not None:
            return cap_points(self._loaded, self._parameters.points.max_points)
        if not keyframes:
            return PointCloud.empty()
        voxel = self._voxel(keyframes[-1], metres(scale) if is_metric(scale) else None)
        clouds = [self._part(k) for k in keyframes]
        return union_clouds(clouds, voxel, self._parameters.points.max_points)

    def show_loaded(self, cloud: PointCloud, source: Header) -> None:
        """Take a map from elsewhere for the map, until it is cleared."""
        self._loaded, self._map_source, self._map_stale = cloud, source, True

    def clear(self, source: Header | None = None) -> None:
        """Forget the map and replace the latched one by an empty cloud."""
        self._forget()
        source = source or self._map_source
        if source is not None:
            frame = self._names.unscaled.map
            empty = cloud_message(PointCloud.empty(), Header(stamp=source.stamp, frame_id=frame))
            self._publishers.publish("map_points", empty)

    def _forget(self) -> None:
        with self._lock:
            self._parts.clear()
        self._map_stale, self._loaded = False, None

    def _publish_points(self, products: Products) -> None:
        keyframe, named = products.keyframe, products.named
        draft, self._draft = self._draft, None
        if draft is None or draft.keyframe is not keyframe or draft.scale is not products.scale:
            draft = self._make_draft(keyframe, products.scale)
        whole, thin = draft.whole, draft.thin
        if named is not None:
            labels, scores = named.labels.take(draft.rows), named.scores.take(draft.rows)
            thin = thin.named(labels.take(draft.chosen), scores.take(draft.chosen))
            whole = whole.named(labels, scores)
        frame = keyframe.frame_id if is_metric(products.scale) else self._names.unscaled.camera
        message = cloud_message(thin, header(keyframe.stamp_ns, frame))
        if self._cap.allow(len(message.data)):
            self._publishers.publish("points", message)
        self._keep(keyframe, whole)

    def _keep_part(self, products: Products) -> None:
        """Keep a keyframe's part of the map with the words it has now: later they would have to be asked again."""
        keyframe, named = products.keyframe, products.named
        rows, cloud = self._whole(keyframe)
        if named is not None:
            cloud = cloud.named(named.labels.take(rows), named.scores.take(rows))
        self._keep(keyframe, cloud)

    def _make_draft(self, keyframe: Keyframe, scale: ScaleEstimate) -> _Draft:
        assert keyframe.T_map_cam is not None
        metric, factor = is_metric(scale), metres(scale)
        rows, whole = self._whole(keyframe)
        voxel = self._voxel(keyframe, factor if metric else None)
        thin, chosen = thinned(whole, voxel, self._parameters.points.max_points)
        moved = thin.transform(similarity(np.linalg.inv(keyframe.T_map_cam), factor))
        return _Draft(keyframe, scale, rows, whole, moved, chosen)

    def _whole(self, keyframe: Keyframe) -> tuple[NDArray[np.int64], PointCloud]:
        """Return which pixels [N] of the model's grid pass the filter, and their points, without words."""
        assert keyframe.prediction is not None
        rows = cloud_pixels(keyframe.prediction, 0, config=self._parameters.points.config())
        return rows, cloud_of_pixels(keyframe.prediction, 0, rows)

    def publish_gaussians(self, products: Products) -> None:
        """Publish the pair's Gaussians in the newest keyframe's frame where anybody listens."""
        if not self._publishers.wants("gaussians"):
            return
        keyframe, metric, factor = products.keyframe, is_metric(products.scale), metres(products.scale)
        if products.placed is None or keyframe.T_map_cam is None:
            return
        gaussians = products.placed.in_map.gaussians
        if gaussians is None:
            return
        frame = keyframe.frame_id if metric else self._names.unscaled.camera
        moved = gaussians.transform(similarity(np.linalg.inv(keyframe.T_map_cam), factor))
        message = gaussians_message(moved, header(keyframe.stamp_ns, frame))
        if self._cap.allow(len(message.data)):
            self._publishers.publish("gaussians", message)

    def _part(self, keyframe: Keyframe) -> PointCloud:
        """Return a keyframe's filtered cloud in the map frame, made once; labelled if somebody listened then."""
        with self._lock:
            known = self._parts.get(keyframe.id)
        if known is not None:
            return known
        cloud = self._whole(keyframe)[1]
        self._keep(keyframe, cloud)
        return cloud

    def _keep(self, keyframe: Keyframe, cloud: PointCloud) -> None:
        with self._lock:
            self._parts[keyframe.id] = cloud
            while len(self._parts) > self._parameters.map.keyframes:
                self._parts.popitem(last=False)

    def _voxel(self, keyframe: Keyframe, metres_per_unit: float | None) -> float:
        """Return the voxel edge in segment units."""
        if metres_per_unit is not None:
            return self._parameters.points.voxel_m / metres_per_unit
        assert keyframe.prediction is not None
        depth = keyframe.prediction.depth(0)
        valid = depth[torch.isfinite(depth) & (depth > 0)]
        median = float(valid.median()) if valid.numel() else 0.0
        return relative_voxel(median, self._parameters.points.voxel_relative)


def similarity(T_out_map: NDArray[Any], factor: float) -> Sim3:
    """Return the map from segment units in the map frame to another frame in the unit in force."""
    T = torch.from_numpy(np.ascontiguousarray(T_out_map, np.float64))
    return Sim3(factor, T[:3, :3], factor * T[:3, 3])
