"""Messages that no driver should send, and what the node drops each image as; deterministic from a generator."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from nav_msgs.msg import Odometry
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from lsm_perception.accounting import Drop
from lsm_perception.conversions import stamp_from_ns

WIDTH, HEIGHT = 48, 32
ROW = WIDTH * 3
# height, width, encoding, step, bytes of data -> reason
IMAGES = (
    (HEIGHT, WIDTH, "rgb8", ROW, HEIGHT * ROW - 1, Drop.BAD_SIZE),
    (HEIGHT, WIDTH, "rgb8", ROW, HEIGHT * ROW + 7, Drop.BAD_SIZE),
    (HEIGHT, WIDTH, "rgb8", ROW - 1, HEIGHT * (ROW - 1), Drop.BAD_SIZE),
    (HEIGHT, WIDTH, "rgb8", WIDTH, HEIGHT * WIDTH, Drop.BAD_SIZE),  # mono data that claim to be rgb8
    (HEIGHT, WIDTH, "bgra8", ROW, HEIGHT * ROW, Drop.BAD_SIZE),
    (HEIGHT, WIDTH, "rgb8", ROW, 0, Drop.BAD_SIZE),
    (HEIGHT, WIDTH, "rgb8", 0, HEIGHT * ROW, Drop.BAD_SIZE),
    (0, 0, "rgb8", 0, 0, Drop.BAD_SIZE),
    (0, WIDTH, "rgb8", ROW, 0, Drop.BAD_SIZE),
    (HEIGHT, 0, "rgb8", 0, 0, Drop.BAD_SIZE),
    (2, 2, "mono8", 2, 4, Drop.BAD_SIZE),
    (HEIGHT, 2**31, "mono8", 2**31, HEIGHT * ROW, Drop.BAD_SIZE),
    (2**31, 1, "mono8", 1, HEIGHT, Drop.BAD_SIZE),
    (2**32 - 1, 2**32 - 1, "bgr8", 2**32 - 1, 1, Drop.BAD_SIZE),
    (HEIGHT, WIDTH, "", ROW, HEIGHT * ROW, Drop.BAD_ENCODING),
    (HEIGHT, WIDTH, "RGB8", ROW, HEIGHT * ROW, Drop.BAD_ENCODING),
    (HEIGHT, WIDTH, "rainbow7", ROW, HEIGHT * ROW, Drop.BAD_ENCODING),
    (HEIGHT, WIDTH, "32FC1", 4 * WIDTH, HEIGHT * 4 * WIDTH, Drop.BAD_ENCODING),
    (HEIGHT, WIDTH, "64FC4", 32 * WIDTH, HEIGHT * 32 * WIDTH, Drop.BAD_ENCODING),
    (HEIGHT, WIDTH, "\N{SNOWMAN}" * 50, ROW, HEIGHT * ROW, Drop.BAD_ENCODING),
)


class MalformedMessages:
    """Makes malformed messages of random kinds."""

    def __init__(self, generator: np.random.Generator, frame_id: str) -> None:
        self._generator = generator
        self._frame_id = frame_id
        noise = generator.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
        self._jpeg = cv2.imencode(".jpg", noise)[1].tobytes()
        size_at = self._jpeg.index(b"\xff\xc0") + 5  # height and width of the frame header, two bytes each
        self._vast = self._jpeg[:size_at] + b"\xff\xff\xff\xff" + self._jpeg[size_at + 4 :]

    def image(self, stamp_ns: int) -> tuple[Drop, Image]:
        """Return an Image whose size, step, encoding and data do not fit together, and its reason."""
        height, width, encoding, step, count, reason = IMAGES[int(self._generator.integers(len(IMAGES)))]
        message = Image(header=self.header(stamp_ns), height=height, width=width, encoding=encoding, step=step)
        message.data = array("B", self._generator.bytes(count))
        message.is_bigendian = int(self._generator.integers(256))
        return reason, message

    def compressed(self, stamp_ns: int) -> tuple[Drop, CompressedImage]:
        """Return a CompressedImage: empty, cut off, noise, of a wrong format or an absurd size, and its reason."""
        cut = int(self._generator.integers(1, len(self._jpeg) - 64))
        kinds = (
            ("jpeg", b"", Drop.BAD_DATA),
            ("", b"\x00", Drop.BAD_DATA),
            ("jpeg", self._jpeg[:cut], Drop.BAD_DATA),
            ("jpeg", self._generator.bytes(200), Drop.BAD_DATA),
            ("png", b"\x89PNG\r\n\x1a\n" + self._generator.bytes(60), Drop.BAD_DATA),
            ("jpeg", self._vast, Drop.BAD_SIZE),
            ("h265", self._jpeg, Drop.BAD_ENCODING),
            ("16UC1; compressedDepth png", self._jpeg, Drop.BAD_ENCODING),
            ("\N{SNOWMAN}", self._jpeg, Drop.BAD_ENCODING),
        )
        name, data, reason = kinds[int(self._generator.integers(len(kinds)))]
        return reason, CompressedImage(header=self.header(stamp_ns), format=name, data=array("B", data))

    def odometry(self, stamp_ns: int) -> Odometry:
        """Return an Odometry with numbers that are not finite, or without a rotation."""
        header = Header(stamp=stamp_from_ns(stamp_ns), frame_id="odom")
        message = Odometry(header=header, child_frame_id="base_link")
        position, rotation = message.pose.pose.position, message.pose.pose.orientation
        position.x, rotation.w = ((np.nan, 1.0), (np.inf, 1.0), (0.0, np.nan), (0.0, 0.0), (1e308, 1e308))[
            int(self._generator.integers(5))
        ]
        return message

    def header(self, stamp_ns: int) -> Header:
        """Return the header of an image."""
        return Header(stamp=stamp_from_ns(stamp_ns), frame_id=self._frame_id)
