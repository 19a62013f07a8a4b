"""A camera driver with odometry that runs by itself at 10 Hz, and misbehaves as told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lsm_perception.conversions.poses import transform_message
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from robot import FRAME, LATCHED, T_BASE_CAM, camera_info, image_message
from sensor_msgs.msg import CameraInfo, Image
from synthetic_world import View
from tf2_msgs.msg import TFMessage

PERIOD_S = 0.1


@dataclass(frozen=True)
class Habits:
    """How the driver behaves; good by default.

    Attributes:
        image, info: topics; no calibration with an empty one.
        frame: of the images.
        qos: of the images.
        stamp_ns: stamp of an image taken now.
        odometry: publish odom -> base_link on /tf.
        mount: publish base_link -> camera on /tf_static.
        info_changes: fields of camera_info.
        encoding: what image messages claim, "" for the truth.
    """

    image: str = "image"
    info: str = "camera_info"
    frame: str = FRAME
    qos: QoSProfile | int = 10
    stamp_ns: Callable[[], int] = time.time_ns
    odometry: bool = True
    mount: bool = True
    info_changes: tuple[tuple[str, Any], ...] = ()
    encoding: str = ""


class Driver:
    """Publishes views, one after the other and back, in a thread of its own: `with Driver(views, Habits()):`."""

    def __init__(self, views: Sequence[View], habits: Habits) -> None:
        self._views = [*views, *views[-2:0:-1]]
        self._habits = habits
        self._node = Node("driver")
        self._images = self._node.create_publisher(Image, habits.image, habits.qos)
        self._infos = self._node.create_publisher(CameraInfo, habits.info, 10) if habits.info else None
        self._tf = self._node.create_publisher(TFMessage, "/tf", 100) if habits.odometry else None
        self._mount = self._node.create_publisher(TFMessage, "/tf_static", LATCHED) if habits.mount else None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drive, daemon=True)

    def __enter__(self) -> Driver:
        if self._mount is not None:
            mount = transform_message(T_BASE_CAM, "base_link", self._habits.frame or "nowhere", 0)
            self._mount.publish(TFMessage(transforms=[mount]))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5.0)
        self._executor.shutdown(timeout_sec=2.0)
        self._node.destroy_node()

    def _drive(self) -> None:
        count = 0
        while not self._stop.wait(PERIOD_S):
            view = self._views[count % len(self._views)]
            self._send(replace(view, stamp_ns=self._habits.stamp_ns()))
            count += 1

    def _send(self, view: View) -> None:
        habits = self._habits
        if self._tf is not None:
            pose = transform_message(view.T_world_cam, "odom", "base_link", time.time_ns())
            self._tf.publish(TFMessage(transforms=[pose]))
        if self._infos is not None:
            self._infos.publish(camera_info(view.stamp_ns, habits.frame, **dict(habits.info_changes)))
        image = image_message(view.rgb, view.stamp_ns, habits.frame)
        image.encoding = habits.encoding or image.encoding
        self._images.publish(image)
