"""~/detections: things with boxes and lasting numbers, in metres or not at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lsm_core.mapping import cloud_from_view
from lsm_core.query import InstanceMap, InstanceTracker
from lsm_core.query.instances import Instance
from lsm_perception.conversions.detections import detections_message
from lsm_perception.conversions.reports import header
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Keyframe, Products
from lsm_perception.publishers import Publishers
from lsm_perception.units import is_metric, metres, scaled_pose


@dataclass(frozen=True)
class Things:
    """Things in the map's frame, metres; their labels are indices of `texts`."""

    instances: tuple[Instance, ...] = ()
    texts: tuple[str, ...] = ()


class DetectionOutputs:
    """Puts the things of the kept keyframes together in the map, and follows them.

    Attributes:
        things: the newest ones; none while nobody listens or metres are not known.
    """

    def __init__(self, publishers: Publishers, parameters: NodeParameters) -> None:
        self._publishers = publishers
        self._parameters = parameters
        self._map = InstanceMap()
        self._tracker = InstanceTracker()
        self.things = Things()

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self._parameters = parameters

    def publish(self, products: Products) -> None:
        """Publish detections in the image's own frame, where anybody listens and metres are known."""
        keyframe, found = products.keyframe, products.named
        if products.cleared:
            self.clear()
        self._map.remove(keyframe.id for keyframe in products.removed)
        if not self._publishers.wants("detections", "markers") or not is_metric(products.scale):
            self.things = Things()
            return
        if keyframe.T_map_cam is None or keyframe.prediction is None or found is None:
            return
        factor = metres(products.scale)
        cloud = cloud_from_view(
            keyframe.prediction,
            0,
            found.labels,
            found.scores,
            config=self._parameters.points.config(),
            labels_on_grid=True,
        )
        self._map.add(keyframe.id, cloud, found.texts)
        T_map_cam = scaled_pose(keyframe.T_map_cam, factor)
        things = self._tracker.update(self._map.things(factor, up_in_map(keyframe)), found.texts)
        self.things = Things(tuple(things), found.texts)
        source = header(keyframe.stamp_ns, keyframe.frame_id)
        message = detections_message(things, found.texts, np.linalg.inv(T_map_cam), source)
        self._publishers.publish("detections", message)

    def clear(self) -> None:
        """Forget all things: the map has another frame or unit."""
        self.things = Things()
        self._map.clear()
        self._tracker.clear()


def up_in_map(keyframe: Keyframe) -> NDArray[np.float64] | None:
    """Return the direction away from the ground in the map frame, None without odometry (whose z is up)."""
    if keyframe.T_odom_cam is None or keyframe.T_map_cam is None:
        return None
    up_cam = keyframe.T_odom_cam[:3, :3].T @ np.array([0.0, 0.0, 1.0])
    return np.asarray(keyframe.T_map_cam[:3, :3] @ up_cam, np.float64)
