"""The viewer decodes no camera image whose header announces more than a camera can have."""

from __future__ import annotations

import struct
import zlib
from array import array

import cv2
import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.viewer.decode import image_of
from sensor_msgs.msg import CompressedImage

from lsm_core.errors import FileFormatError


def test_a_bomb_is_refused_by_its_header() -> None:
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(FileFormatError, match="900000000 pixels"):
        image_of(CompressedImage(format="png", data=array("B", data)))


def test_a_picture_is_shown_in_its_colours() -> None:
    bgr = np.zeros((20, 30, 3), np.uint8)
    bgr[..., 2] = 200
    data = cv2.imencode(".png", bgr)[1].tobytes()
    assert image_of(CompressedImage(format="png", data=array("B", data)))[0, 0].tolist() == [200, 0, 0]
