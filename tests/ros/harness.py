"""The node in-process beside a client node that publishes images and records what comes out."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from conftest import wait_until
from cv_bridge import CvBridge
from fake_backend import FakeBackend
from geometry_msgs.msg import TransformStamped
from lsm_perception.conversions import stamp_from_ns
from lsm_perception.conversions.poses import transform_message
from lsm_perception.perception_node import PerceptionNode
from lsm_perception.publishers import TYPES
from lsm_perception.runtime import initial_queries
from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from synthetic_world import HEIGHT, WIDTH, K, View
from tf2_msgs.msg import TFMessage

FRAME = "camera_optical_frame"
LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
RELIABLE = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
LATCHED_TOPICS = ("map_points", "segmentation/label_info", "scale")


class Harness:
    """A running node, a client, and everything the client heard."""

    def __init__(
        self,
        backend: FakeBackend,
        parameters: dict[str, Any] | None = None,
        listen: Sequence[str] = tuple(TYPES),
        namespace: str = "",
    ) -> None:
        given = {"odometry.max_wait_s": 0.05} | (parameters or {})
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        self.backend = backend
        self.node = PerceptionNode(lambda *_: backend, parameter_overrides=overrides, namespace=namespace or None)
        self.client = Node("client", namespace=namespace or None)
        self.heard: dict[str, list[Any]] = {name: [] for name in (*TYPES, "tf")}
        self._lock = threading.Lock()
        for name in listen:
            topic = f"/{name}" if name == "diagnostics" else f"lsm_perception/{name}"
            qos = LATCHED if name in LATCHED_TOPICS else RELIABLE
            self.client.create_subscription(TYPES[name], topic, self._recorder(name), qos)
        self.client.create_subscription(TFMessage, "/tf", self._recorder("tf"), RELIABLE)
        self.images = self.client.create_publisher(Image, "image", 10)
        self.infos = self.client.create_publisher(CameraInfo, "camera_info", 10)
        self.tf = self.client.create_publisher(TFMessage, "/tf", 100)
        self.tf_static = self.client.create_publisher(TFMessage, "/tf_static", LATCHED)
        self._executors = (MultiThreadedExecutor(num_threads=8), SingleThreadedExecutor())
        self._threads = []
        for executor, node in zip(self._executors, (self.node, self.client), strict=True):
            executor.add_node(node)
            thread = threading.Thread(target=executor.spin, daemon=True)
            thread.start()
            self._threads.append(thread)

    def close(self) -> None:
        """Stop everything."""
        self.backend.release.set()
        self.node.stop()
        for executor in self._executors:
            executor.shutdown(timeout_sec=2.0)
        for thread in self._threads:
            thread.join(timeout=5.0)
        if self.node.state_label not in ("unconfigured", "finalized"):
            self.node.trigger_shutdown()
        self.node.destroy_node()
        self.client.destroy_node()

    def renew(self) -> None:
        """Bring node, backend and records back to how they were at the start, for the next test."""
        runtime = self.node.runtime
        assert runtime is not None and self.node.state_label == "active"
        self.backend.release.set()
        self.settle()
        self.backend.calm()
        runtime.reset()
        runtime.set_queries(initial_queries(runtime._parameters))
        runtime.account.clear()
        runtime.timings.clear()
        for context in runtime.cameras.values():
            context.pipeline.clear_counts()
            context.stream._info = context.stream._calibration = None
            context.stream.calibrated = False
            context.gate._shape = None
        time.sleep(0.2)  # what was sent before is still on its way
        with self._lock:
            for messages in self.heard.values():
                messages.clear()

    def wait_active(self) -> None:
        """Wait until the node is active and connected to the client's publishers."""
        assert wait_until(lambda: self.node.state_label == "active"), self.node.state_label
        assert wait_until(lambda: self.images.get_subscription_count() > 0)

    def wait_connected(self, *names: str) -> None:
        """Wait until the node sees the client's subscriptions."""
        runtime = self.node.runtime
        assert runtime is not None
        for name in names:
            assert wait_until(lambda name=name: runtime.publishers.wants(name)), name

    def send(self, view: View, frame: str = FRAME, info: bool = True) -> None:
        """Publish a view and its camera_info."""
        if info:
            self.infos.publish(camera_info(view.stamp_ns, frame))
        self.images.publish(image_message(view.rgb, view.stamp_ns, frame))

    def settle(self, timeout_s: float = 20.0) -> None:
        """Wait until the node has decided on every image that reached it and the worker is idle."""
        runtime = self.node.runtime
        assert runtime is not None
        assert wait_until(lambda: runtime.account.counts().pending == 0, timeout_s)
        assert runtime.worker.wait_idle(timeout_s)

    def walk(self, views: Sequence[View], frame: str = FRAME) -> None:
        """Send views one at a time, each after the one before was decided."""
        runtime = self.node.runtime
        assert runtime is not None
        for view in views:
            before = runtime.account.counts().delivered
            self.send(view, frame)
            assert wait_until(lambda before=before: runtime.account.counts().delivered > before), view.stamp_ns
        self.settle()

    def send_odometry(self, views: Sequence[View], extra: Sequence[TransformStamped] = ()) -> None:
        """Publish odom -> base_link at the views' stamps, and base_link -> camera once."""
        T_base_cam = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1.0]])
        self.tf_static.publish(TFMessage(transforms=[transform_message(T_base_cam, "base_link", FRAME, 0), *extra]))
        T_odom_world = np.array([[0, 0, 1, 3.0], [-1, 0, 0, -2.0], [0, -1, 0, 1.0], [0, 0, 0, 1.0]])
        for view in views:
            T_odom_base = T_odom_world @ view.T_world_cam @ np.linalg.inv(T_base_cam)
            self.tf.publish(
                TFMessage(transforms=[transform_message(T_odom_base, "odom", "base_link", view.stamp_ns)])
            )
        time.sleep(0.3)

    def call(self, kind: type, name: str, timeout_s: float = 10.0, **fields: Any) -> Any:
        """Call a service of the node and return its reply."""
        client = self.client.create_client(kind, f"lsm_perception/{name}")
        assert client.wait_for_service(timeout_sec=5.0), name
        future = client.call_async(kind.Request(**fields))
        assert wait_until(future.done, timeout_s), f"{name} did not reply"
        self.client.destroy_client(client)
        return future.result()

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
