"""Random malformed messages on every input of the node, with an account of what the node must say of them."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from lsm_perception.soak.malformed import HEIGHT, WIDTH, MalformedMessages
from lsm_perception_msgs.srv import Stats
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from robot import FRAME
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from waiting import wait_until

DEPTH = 100
BATCH = 40
NUMBERS = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, -1.0, 300.0)
STAMPS = ((0, 0), (-(2**31), 0), (2**31 - 1, 999_999_999), (1_700_000_000, 2**32 - 1), (1_700_003_600, 5))
FRAMES = ("", FRAME, "odom", "base_link", "/odom", "camera", "\N{SNOWMAN}", "x" * 300)
TREE = ("odom", "base_link", FRAME, "map", "")


class MalformedTraffic:
    """Publishes batches of malformed messages and waits until the node has decided on their images."""

    def __init__(self, client: Node, seed: int, compressed: bool) -> None:
        """Create publishers beside a running node whose image subscription is reliable and DEPTH deep."""
        self._random = np.random.default_rng(seed)
        self._malformed = MalformedMessages(self._random, FRAME)
        self._client = client
        self._compressed = compressed
        reliable = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE)
        latched = QoSProfile(
            depth=DEPTH, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
        )
        self.images = client.create_publisher(
            *((CompressedImage, "image/compressed") if compressed else (Image, "image")), reliable
        )
        makers = {
            "camera_info": (CameraInfo, self._camera_info),
            "odom": (Odometry, self._odometry),
            "depth": (Image, self._depth),
            "mask": (Image, self._depth),
            "/tf": (TFMessage, self._transforms),
            "/tf_static": (TFMessage, self._transforms),
            "/clock": (Clock, self._clock),
        }
        self._others = [
            (client.create_publisher(kind, topic, latched if topic == "/tf_static" else reliable), make)
            for topic, (kind, make) in makers.items()
        ]
        self._stats = client.create_client(Stats, "lsm_perception/stats")
        self.sent = 0
        self.images_sent = 0
        self.expected: Counter[str] = Counter()  # reason -> images that must be dropped for it

    def run(self, count: int) -> float:
        """Send so many messages, half of them images; returns the seconds it took."""
        started = time.monotonic()
        target = self.sent + count
        while self.sent < target:
            for _ in range(min(BATCH, target - self.sent)):
                self._send_one()
            self._wait_until_decided()
        return time.monotonic() - started

    def statistics(self) -> Stats.Response:
        """Return the node's counters."""
        assert self._stats.wait_for_service(10.0)
        future = self._stats.call_async(Stats.Request())
        assert wait_until(future.done, 30.0), "~/stats did not reply"
        return future.result()

    def _send_one(self) -> None:
        self.sent += 1
        if self._random.random() < 0.5:
            self.images_sent += 1
            self.images.publish(self._image())
        else:
            publisher, make = self._others[int(self._random.integers(len(self._others)))]
            publisher.publish(make())

    def _wait_until_decided(self) -> None:
        def decided() -> bool:
            return self.statistics().delivered >= self.images_sent

        assert wait_until(decided, 60.0), f"{self.statistics().delivered} of {self.images_sent} images decided"

    def _image(self) -> Any:
        if self._random.random() < 0.1:
            return self._odd_image()
        make = self._malformed.compressed if self._compressed else self._malformed.image
        reason, message = make(self._some_ns())
        message.header = self._header()
        self.expected[reason.value] += 1
        return message

    def _odd_image(self) -> Any:
        """Return a well-formed image of noise whose header is strange; what becomes of it depends on the others."""
        pixels = self._random.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        if self._compressed:
            data = array("B", cv2.imencode(".png", pixels)[1].tobytes())
            return CompressedImage(header=self._header(), format="png", data=data)
        data = array("B", pixels.tobytes())
        return Image(header=self._header(), height=HEIGHT, width=WIDTH, encoding="rgb8", step=WIDTH * 3, data=data)

    def _camera_info(self) -> CameraInfo:
        models = ("plumb_bob", "rational_polynomial", "equidistant", "", "\N{SNOWMAN}")
        info = CameraInfo(header=self._header(), distortion_model=self._one_of(models))
        info.width, info.height = (
            self._one_of((0, WIDTH, 320, 2**32 - 1)),
            self._one_of((0, HEIGHT, 240, 2**32 - 1)),
        )
        info.k = [float(self._one_of(NUMBERS)) for _ in range(9)]
        info.d = [float(self._one_of(NUMBERS)) for _ in range(int(self._random.integers(0, 20)))]
        info.binning_x, info.binning_y = self._one_of((0, 1, 2**32 - 1)), self._one_of((0, 1, 7))
        info.roi.width, info.roi.height = self._one_of((0, 5, 2**32 - 1)), self._one_of((0, 5, 2**32 - 1))
        info.roi.x_offset = self._one_of((0, 2**32 - 1))
        return info

    def _odometry(self) -> Odometry:
        message = self._malformed.odometry(self._some_ns())
        message.header = self._header()
        message.child_frame_id = self._one_of(FRAMES)
        return message

    def _depth(self) -> Image:
        message = self._malformed.image(self._some_ns())[1]
        message.encoding = self._one_of(("16UC1", "32FC1", "mono8", "8UC1", message.encoding))
        message.header = self._header()
        return message

    def _transforms(self) -> TFMessage:
        return TFMessage(transforms=[self._transform() for _ in range(int(self._random.integers(0, 4)))])

    def _transform(self) -> TransformStamped:
        message = TransformStamped(header=self._header(), child_frame_id=self._one_of(TREE))
        message.header.frame_id = self._one_of(TREE)
        t, q = message.transform.translation, message.transform.rotation
        q.w = 1.0
        fault = int(self._random.integers(4))
        if fault == 0:
            t.x, t.y, t.z = (float(self._one_of(NUMBERS)) for _ in range(3))
        elif fault == 1:
            q.x, q.y, q.z, q.w = (float(self._one_of(NUMBERS)) for _ in range(4))
        return message

    def _clock(self) -> Clock:
        sec, nanosec = self._one_of(((0, 0), (1, 5), (2**31 - 1, 999_999_999), (1_700_000_000, 0)))
        return Clock(clock=Time(sec=sec, nanosec=nanosec))

    def _header(self) -> Header:
        sec, nanosec = self._one_of(STAMPS)
        if self._random.random() < 0.5:
            sec = int(self._random.integers(1_700_000_000, 1_700_100_000))
        return Header(stamp=Time(sec=sec, nanosec=nanosec), frame_id=self._one_of(FRAMES))

    def _some_ns(self) -> int:
        return int(self._random.integers(1, 2**60))

    def _one_of(self, values: tuple[Any, ...]) -> Any:
        return values[int(self._random.integers(len(values)))]
