"""The images of a benchmark: the packaged walk at any size, as messages ready to be sent."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from lsm_core.data import sample_path
from lsm_core.io.bags import Frame, open_bag

FRAME_ID = "bench_camera"
STEP = 3  # every third image of the walk, so that each shows enough of a new view to become a keyframe
FRAMES = 36
NOISE = 1.5  # grey levels, so that no image repeats another to the bit
JPEG_QUALITY = 90
STAMP_AT = 4  # behind the four bytes that say how the rest is coded


@dataclass(frozen=True)
class Footage:
    """Serialised messages; the stamp in each is to be set when it is sent.

    Attributes:
        images: sensor_msgs/Image or CompressedImage, in the order of the walk.
        info: the sensor_msgs/CameraInfo of all of them.
        image_type: class of the images.
    """

    images: tuple[bytes, ...]
    info: bytes
    image_type: type

    def endless(self) -> Iterator[bytes]:
        """Yield images forward and backward along the walk, for ever."""
        last = len(self.images) - 1
        index, step = 0, 1
        while True:
            yield self.images[index]
            if not 0 <= index + step <= last:
                step = -step
            index += step


def stamped(message: bytes, stamp_ns: int) -> bytes:
    """Return a serialised message that starts with a header, with another stamp."""
    data = bytearray(message)
    struct.pack_into("<iI", data, STAMP_AT, *divmod(stamp_ns, 1_000_000_000))
    return bytes(data)


def stamp_of(message: bytes) -> int:
    """Return the stamp of a serialised message that starts with a header, nanoseconds."""
    seconds, nanoseconds = struct.unpack_from("<iI", message, STAMP_AT)
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def make_footage(width: int, height: int, transport: str, seed: int) -> Footage:
    """Make the messages of one size and transport."""
    rng = np.random.default_rng(seed)
    images: list[bytes] = []
    info = b""
    with open_bag(sample_path()) as bag:
        for frame in bag.frames():
            if len(images) == FRAMES:
                break
            if frame.index % STEP:
                continue
            rgb, K = fitted(frame, width, height)
            noisy = rgb + rng.normal(0.0, NOISE, (height, width, 1)).astype(np.float32)
            images.append(_image(np.clip(noisy, 0, 255).astype(np.uint8), transport))
            info = info or _info(K, width, height)
    return Footage(tuple(images), info, CompressedImage if transport == "compressed" else Image)


def fitted(frame: Frame, width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return a frame cropped about its centre to another shape and scaled: RGB [height, width, 3] and K [3, 3]."""
    source_h, source_w = frame.image.shape[:2]
    scale = max(width / source_w, height / source_h)
    crop_w, crop_h = round(width / scale), round(height / scale)
    left, top = (source_w - crop_w) // 2, (source_h - crop_h) // 2
    part = np.ascontiguousarray(frame.image[top : top + crop_h, left : left + crop_w])
    resized = cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)
    K = np.eye(3) if frame.K is None else frame.K.copy()
    K[0, 2] -= left
    K[1, 2] -= top
    sx, sy = width / crop_w, height / crop_h
    return resized.astype(np.float32), np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]]) @ K


def _image(rgb: NDArray[np.uint8], transport: str) -> bytes:
    header = Header(frame_id=FRAME_ID)
    height, width = rgb.shape[:2]
    if transport == "raw":
        message = Image(header=header, height=height, width=width, encoding="rgb8", step=3 * width)
        message.data.frombytes(rgb.tobytes())
        return bytes(serialize_message(message))
    _, packed = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    compressed = CompressedImage(header=header, format="rgb8; jpeg compressed bgr8")
    compressed.data.frombytes(packed.tobytes())
    return bytes(serialize_message(compressed))


def _info(K: NDArray[np.float64], width: int, height: int) -> bytes:
    message = CameraInfo(
        header=Header(frame_id=FRAME_ID),
        width=width,
        height=height,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=[float(value) for value in K.ravel()],
    )
    return bytes(serialize_message(message))
