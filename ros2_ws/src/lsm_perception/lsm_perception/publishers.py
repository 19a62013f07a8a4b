"""The node's publishers, and whether anybody listens to each."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseWithCovarianceStamped
from lsm_perception_msgs.msg import Keyframe, PairPose, Scale
from nav_msgs.msg import Path
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.exceptions import InvalidHandle
from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from vision_msgs.msg import Detection3DArray, LabelInfo
from visualization_msgs.msg import MarkerArray

from lsm_perception.qos import output_qos, overridable
from lsm_perception.topic_events import TopicEvents

TYPES: dict[str, type] = {
    "points": PointCloud2,
    "map_points": PointCloud2,
    "gaussians": PointCloud2,
    "pair_pose": PairPose,
    "relative_pose": PoseWithCovarianceStamped,
    "path": Path,
    "segmentation/label": Image,
    "segmentation/score": Image,
    "segmentation/overlay": Image,
    "segmentation/label_info": LabelInfo,
    "detections": Detection3DArray,
    "markers": MarkerArray,
    "depth/image": Image,
    "depth/camera_info": CameraInfo,
    "keyframes": Keyframe,
    "scale": Scale,
    "diagnostics": DiagnosticArray,
}
GLOBAL = ("diagnostics",)


class Publishers:
    """All publishers by name; created in configure, destroyed in cleanup."""

    def __init__(
        self,
        node: Node,
        events: TopicEvents,
        on_listener: Callable[[str], None] = lambda _name: None,
        names: Iterable[str] = tuple(TYPES),
    ) -> None:
        """Create them.

        Args:
            node: that publishes.
            events: counts what the middleware reports.
            on_listener: told the name of an output that somebody new listens to.
            names: the outputs wanted.
        """
        self._node = node
        self._publishers: dict[str, Publisher] = {}
        group = MutuallyExclusiveCallbackGroup()  # of their events; the node's own group would remember them all
        for name in names:
            topic = f"/{name}" if name in GLOBAL else f"~/{name}"
            qos = output_qos(name)
            self._publishers[name] = node.create_publisher(
                TYPES[name],
                topic,
                qos,
                callback_group=group,
                event_callbacks=events.of_publisher(
                    node.resolve_topic_name(topic), qos, functools.partial(on_listener, name)
                ),
                qos_overriding_options=overridable(),
            )

    def wants(self, *names: str) -> bool:
        """Whether anybody listens to one of these."""
        return any(self._listeners(name) > 0 for name in names)

    def publish(self, name: str, message: Any) -> None:
        """Publish on an output; nothing happens for one that is off, or destroyed meanwhile."""
        publisher = self._publishers.get(name)
        if publisher is not None:
            with contextlib.suppress(InvalidHandle):
                publisher.publish(message)

    def wait_until_heard(self, name: str, timeout_s: float) -> None:
        """Wait until every reliable listener has what was published; a destroyed publisher sends nothing again."""
        publisher = self._publishers.get(name)
        if publisher is not None:
            with contextlib.suppress(InvalidHandle):
                publisher.wait_for_all_acked(Duration(seconds=timeout_s))

    def destroy(self) -> None:
        """Destroy all publishers; a callback in work that comes late finds none."""
        publishers, self._publishers = self._publishers, {}
        for publisher in publishers.values():
            self._node.destroy_publisher(publisher)

    def _listeners(self, name: str) -> int:
        publisher = self._publishers.get(name)
        try:
            return 0 if publisher is None else int(publisher.get_subscription_count())
        except InvalidHandle:
            return 0
