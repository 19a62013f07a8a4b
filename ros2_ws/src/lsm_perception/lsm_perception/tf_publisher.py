"""The lsm_* frames on /tf: one tree at a time, and never a second parent for a sensor's frame."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from tf2_ros import TransformBroadcaster

from lsm_perception.conversions.poses import transform_message
from lsm_perception.frames import FrameNames
from lsm_perception.products import Matrix, Products
from lsm_perception.units import is_metric, metres, scaled_pose


class FramePublisher:
    """Publishes the frames of one camera after each accepted pair."""

    def __init__(self, node: Node, names: FrameNames) -> None:
        self._node = node
        self._broadcaster = TransformBroadcaster(node)
        self._names = names
        self._T_odom_map: Matrix | None = None

    def publish(self, products: Products, publish_tf: bool, attach: bool) -> None:
        """Publish the tree of an accepted pair, at the newer image's stamp."""
        transforms = self.transforms(products, attach)
        if publish_tf and transforms:
            self._broadcaster.sendTransform(transforms)

    def transforms(self, products: Products, attach: bool) -> list[TransformStamped]:
        """Return the transforms of an accepted pair; none for other products."""
        pair, newer = products.pair, products.keyframe
        if products.cleared:
            self.clear()
        if pair is None or not pair.accepted or newer.T_map_cam is None:
            return []
        metric = is_metric(products.scale)
        factor = metres(products.scale)
        tree = self._names.tree(metric)
        T_older_newer = scaled_pose(pair.T_older_newer, factor)
        T_map_newer = scaled_pose(newer.T_map_cam, factor)
        T_map_older = T_map_newer @ np.linalg.inv(T_older_newer)
        out = [
            transform_message(T_map_older, tree.map, tree.keyframe, newer.stamp_ns),
            transform_message(T_older_newer, tree.keyframe, tree.camera, newer.stamp_ns),
        ]
        if metric and attach:
            if newer.T_odom_cam is not None:
                self._T_odom_map = newer.T_odom_cam @ np.linalg.inv(T_map_newer)
            if self._T_odom_map is not None:
                out.insert(0, transform_message(self._T_odom_map, self._names.odom, tree.map, newer.stamp_ns))
        return out

    def destroy(self) -> None:
        """Take the publisher of /tf away."""
        self._node.destroy_publisher(self._broadcaster.pub_tf)

    def clear(self) -> None:
        """Forget where the map hangs: a new segment or a reset."""
        self._T_odom_map = None
