"""What the planner's picture is drawn from: clouds, masks, the goal, and the image with the words in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import numpy as np
from cv_bridge import CvBridge
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image, PointCloud2
from sensor_msgs_py import point_cloud2
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from lsm_core.io.sheets import Panel, compose_sheet
from lsm_perception.conversions import stamp_to_ns
from lsm_perception.conversions.poses import matrix_from_pose, transform_message
from lsm_perception.examples.approach import Box, Place
from lsm_perception.examples.label_mask import MASK_QOS
from lsm_perception.examples.placed import Matrix, Placed
from lsm_perception.examples.top_view import CLOSED, GOAL, SLOW, WAY, Rgb, TopView

QUEUE = QoSProfile(depth=10)
PIXELS_PER_M = 110.0


class PictureListener(Node):
    """Hears everything into a TopView, and says where the recording's odom is on level ground."""

    def __init__(self, frame: str, T_frame_odom: Matrix, target: str) -> None:
        """Start listening.

        Args:
            frame: level, z up.
            T_frame_odom: [4, 4] where the recording's odom is in it.
            target: word of the thing whose box is drawn.
        """
        super().__init__("planner_picture")
        self._target = target
        self.view = TopView()
        self.clouds = 0
        self.overlays: list[Rgb] = []
        self._bridge = CvBridge()
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._tf = self.create_publisher(TFMessage, "/tf_static", latched)
        self._tf.publish(TFMessage(transforms=[transform_message(T_frame_odom, frame, "odom", 0)]))
        self._placed = Placed(self, frame, 2.0, self._place)
        for kind, topic, qos in (
            (PointCloud2, "lsm_perception/points", QUEUE),
            (Detection3DArray, "lsm_perception/detections", QUEUE),
            (Image, "lsm_perception/segmentation/overlay", QUEUE),
            (OccupancyGrid, "keepout_mask", MASK_QOS),
            (OccupancyGrid, "speed_mask", MASK_QOS),
            (PoseStamped, "goal_pose", QUEUE),
        ):
            self.create_subscription(kind, topic, partial(self._hear, topic), qos)

    def _hear(self, topic: str, message: Any) -> None:
        if topic == "keepout_mask":
            self.view.keepout = message
        elif topic == "speed_mask":
            self.view.speed = message
        elif topic == "goal_pose":
            T = matrix_from_pose(message.pose)
            self.view.goal = Place(float(T[0, 3]), float(T[1, 3]), float(np.arctan2(T[1, 0], T[0, 0])))
        elif topic.endswith("overlay"):
            self.overlays.append(np.asarray(self._bridge.imgmsg_to_cv2(message, "rgb8")))
        elif not message.header.frame_id.endswith("_unscaled"):
            self._placed.put(message, message.header.frame_id, stamp_to_ns(message.header.stamp))

    def _place(self, message: Any, T_frame_cam: Matrix) -> None:
        if isinstance(message, Detection3DArray):
            self._keep_box(message, T_frame_cam)
            return
        cloud = point_cloud2.read_points(message, ["x", "y", "z", "rgb"])
        points = np.stack([cloud["x"], cloud["y"], cloud["z"]], -1)
        packed = np.ascontiguousarray(cloud["rgb"]).view(np.uint32)
        rgb = np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], -1).astype(np.uint8)
        placed = points @ T_frame_cam[:3, :3].T.astype(np.float32) + T_frame_cam[:3, 3].astype(np.float32)
        self.view.points = np.concatenate([self.view.points, placed])
        self.view.rgb = np.concatenate([self.view.rgb, rgb])
        self.view.way.append((float(T_frame_cam[0, 3]), float(T_frame_cam[1, 3])))
        self.clouds += 1

    def _keep_box(self, message: Detection3DArray, T_frame_cam: Matrix) -> None:
        found = [d for d in message.detections if d.results[0].hypothesis.class_id == self._target]
        if found:
            best = max(found, key=lambda d: float(d.results[0].hypothesis.score)).bbox
            size = (best.size.x, best.size.y, best.size.z)
            self.view.box = Box(T_frame_cam @ matrix_from_pose(best.center), size)


@contextmanager
def together(
    listener: Callable[[], PictureListener], *others: Callable[[], Node], arguments: list[str]
) -> Iterator[PictureListener]:
    """Give the listener, spun in one thread with other nodes; rclpy is initialised with the arguments."""
    import rclpy
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    rclpy.init(args=arguments)
    first = listener()
    nodes = [first, *(make() for make in others)]
    executor = SingleThreadedExecutor()
    for node in nodes:
        executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield first
    finally:
        executor.shutdown(timeout_sec=2.0)
        thread.join(5.0)
        for node in nodes:
            node.destroy_node()
        rclpy.try_shutdown()


def sheet(listener: PictureListener, keepout: str, slow: str, target: str) -> Rgb:
    """Return the picture: what the camera saw with its words, and the ground from above."""
    seen = Panel(listener.overlays[len(listener.overlays) // 2], "~/segmentation/overlay")
    legend = (
        (CLOSED, f"keepout_mask: {keepout}"),
        (SLOW, f"speed_mask: {slow}"),
        (WAY, "the camera's way"),
        (GOAL, f"the {target}'s box, and goal_pose before it"),
    )
    above = Panel(listener.view.draw(PIXELS_PER_M), "From above, a line per metre", "", legend)
    return compose_sheet("What a planner gets", "", [[seen, above]], max_row_height=640)
