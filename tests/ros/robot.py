"""A robot as the node sees it: publishes images, calibration and odometry, and records what the node says."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from cv_bridge import CvBridge
from geometry_msgs.msg import TransformStamped
from lsm_perception.conversions import stamp_from_ns
from lsm_perception.conversions.poses import transform_message
from lsm_perception.publishers import TYPES
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from synthetic_world import HEIGHT, WIDTH, K, View
from tf2_msgs.msg import TFMessage
from waiting import wait_until

FRAME = "camera_optical_frame"
LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
T_BASE_CAM = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1.0]])
LATCHED_TOPICS = ("map_points", "segmentation/label_info", "scale")


class Robot:
    """A client node that publishes images and records what comes out of the node; spun in a thread of its own."""

    def __init__(
        self,
        listen: Sequence[str] = tuple(TYPES),
        namespace: str = "",
        name: str = "robot",
        camera: str = "",
        tf: str = "/tf",
    ) -> None:
        """Create publishers and subscriptions.

        Args:
            listen: outputs to record, names as in `publishers.TYPES`.
            namespace: of this client and of the node it talks to.
            name: of the client node.
            camera: topics are <camera>/image ... of this camera; "" for the only one.
            tf: topic of transforms; static ones are on <tf>_static.
        """
        self.client = Node(name, namespace=namespace or None)
        self.heard: dict[str, list[Any]] = {name: [] for name in (*TYPES, "tf")}
        self._lock = threading.Lock()
        self._clients: dict[str, Client] = {}
        for output in listen:
            topic = f"/{output}" if output == "diagnostics" else f"lsm_perception/{output}"
            qos = LATCHED if output in LATCHED_TOPICS else RELIABLE
            self.client.create_subscription(TYPES[output], topic, self._recorder(output), qos)
        self.client.create_subscription(TFMessage, tf, self._recorder("tf"), RELIABLE)
        prefix = f"{camera}/" if camera else ""
        self.images = self.client.create_publisher(Image, f"{prefix}image", 10)
        self.infos = self.client.create_publisher(CameraInfo, f"{prefix}camera_info", 10)
        self.tf = self.client.create_publisher(TFMessage, tf, 100)
        self.tf_static = self.client.create_publisher(TFMessage, f"{tf}_static", LATCHED)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.client)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=5.0)
        self.client.destroy_node()

    def forget(self) -> None:
        """Clear the records."""
        with self._lock:
            for messages in self.heard.values():
                messages.clear()

    def send(self, view: View, frame: str = FRAME, info: bool = True) -> None:
        """Publish a view and its camera_info."""
        if info:
            self.infos.publish(camera_info(view.stamp_ns, frame))
        self.images.publish(image_message(view.rgb, view.stamp_ns, frame))

    def send_odometry(self, views: Sequence[View], extra: Sequence[TransformStamped] = ()) -> None:
        """Publish odom -> base_link at the views' stamps, and base_link -> camera once."""
        self.tf_static.publish(TFMessage(transforms=[transform_message(T_BASE_CAM, "base_link", FRAME, 0), *extra]))
        self.publish_odometry(views)
        time.sleep(0.3)

    def publish_odometry(self, views: Sequence[View]) -> None:
        """Publish odom -> base_link at the views' stamps."""
        T_odom_world = np.array([[0, 0, 1, 3.0], [-1, 0, 0, -2.0], [0, -1, 0, 1.0], [0, 0, 0, 1.0]])
        for view in views:
            T_odom_base = T_odom_world @ view.T_world_cam @ np.linalg.inv(T_BASE_CAM)
            self.tf.publish(
                TFMessage(transforms=[transform_message(T_odom_base, "odom", "base_link", view.stamp_ns)])
            )

    def call(self, kind: type, name: str, timeout_s: float = 10.0, **fields: Any) -> Any:
        """Call a service of the node and return its reply."""
        future = self.client_of(kind, name).call_async(kind.Request(**fields))
        assert wait_until(future.done, timeout_s), f"{name} did not reply"
        return future.result()

    def client_of(self, kind: type, name: str) -> Client:
        """Return the client of a service, made once, when the node knows it, too."""
        if name not in self._clients:
            # A client that asks fast must have room for the replies itself.
            self._clients[name] = self.client.create_client(
                kind, f"lsm_perception/{name}", qos_profile=QoSProfile(depth=1000)
            )
            assert self._clients[name].wait_for_service(timeout_sec=30.0), name
            time.sleep(0.5)  # the node drops replies to a client that it has not discovered, and nobody can ask it
        return self._clients[name]

    def messages(self, name: str) -> list[Any]:
        """Return what was heard on an output so far."""
        with self._lock:
            return list(self.heard[name])

    def _recorder(self, name: str) -> Any:
        def record(message: Any) -> None:
            with self._lock:
                self.heard[name].append(message)

        return record


def image_message(rgb: Any, stamp_ns: int, frame: str = FRAME) -> Image:
    """Return an rgb8 image."""
    message: Image = CvBridge().cv2_to_imgmsg(np.ascontiguousarray(rgb), encoding="rgb8")
    message.header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame)
    return message


def camera_info(stamp_ns: int, frame: str = FRAME, **changes: Any) -> CameraInfo:
    """Return the calibration of the synthetic camera."""
    fields: dict[str, Any] = {
        "header": Header(stamp=stamp_from_ns(stamp_ns), frame_id=frame),
        "width": WIDTH,
        "height": HEIGHT,
        "distortion_model": "plumb_bob",
        "d": [0.0] * 5,
        "k": [float(v) for v in K.ravel()],
    }
    return CameraInfo(**(fields | changes))
