"""Messages that no driver should send, each refused by the node for one known reason; deterministic from a seed."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lsm_perception.conversions import stamp_from_ns

WIDTH, HEIGHT = 48, 32


class MalformedMessages:
    """Makes malformed messages of random kinds."""

    def __init__(self, generator: np.random.Generator, frame_id: str) -> None:
        self._generator = generator
        self._frame_id = frame_id
        noise = generator.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self._jpeg = cv2.imencode(".jpg", noise)[1].tobytes()

    def compressed(self, stamp_ns: int) -> CompressedImage:
        """Return a CompressedImage: empty, cut off, random bytes, of an unknown format, or with an absurd size."""
        size_at = self._jpeg.index(b"\xff\xc0") + 5  # height and width of the frame header, two bytes each
        vast = self._jpeg[:size_at] + b"\xff\xff\xff\xff" + self._jpeg[size_at + 4 :]
        kinds = (
            ("jpeg", b""),
            ("jpeg", self._jpeg[: int(self._generator.integers(1, len(self._jpeg) // 2))]),
            ("jpeg", self._generator.bytes(200)),
            ("png", b"\x89PNG\r\n\x1a\n" + self._generator.bytes(60)),
            ("h265", self._jpeg),
            ("", b"\x00"),
            ("jpeg", vast),
        )
        name, data = kinds[int(self._generator.integers(len(kinds)))]
        return CompressedImage(header=self._header(stamp_ns), format=name, data=array("B", data))

    def image(self, stamp_ns: int) -> Image:
        """Return an Image whose size, step, encoding and data do not fit together."""
        right = WIDTH * HEIGHT * 3
        kinds = (
            (HEIGHT, WIDTH, "rgb8", WIDTH * 3, right - 1),
            (HEIGHT, WIDTH, "rgb8", WIDTH * 3, right + 7),
            (HEIGHT, WIDTH, "rgb8", WIDTH * 3 - 1, right),
            (HEIGHT, WIDTH, "rgb8", WIDTH * 3, WIDTH * HEIGHT),
            (0, WIDTH, "rgb8", WIDTH * 3, 0),
            (HEIGHT, 0, "rgb8", 0, 0),
            (HEIGHT, 2**31, "mono8", 2**31, right),
            (2**32 - 1, 2**32 - 1, "bgr8", 2**32 - 1, right),
            (HEIGHT, WIDTH, "", WIDTH * 3, right),
            (HEIGHT, WIDTH, "rainbow7", WIDTH * 3, right),
        )
        height, width, encoding, step, count = kinds[int(self._generator.integers(len(kinds)))]
        return Image(
            header=self._header(stamp_ns),
            height=height,
            width=width,
            encoding=encoding,
            step=step,
            data=array("B", bytes(count)),
        )

    def odometry(self, stamp_ns: int) -> Odometry:
        """Return an Odometry with numbers that are not finite, or without a rotation."""
        message = Odometry(
            header=Header(stamp=stamp_from_ns(stamp_ns), frame_id="odom"), child_frame_id="base_link"
        )
        position, rotation = message.pose.pose.position, message.pose.pose.orientation
        kind = int(self._generator.integers(3))
        position.x = (float("nan"), float("inf"), 0.0)[kind]
        rotation.w = (1.0, float("nan"), 0.0)[kind]
        return message

    def _header(self, stamp_ns: int) -> Header:
        return Header(stamp=stamp_from_ns(stamp_ns), frame_id=self._frame_id)
