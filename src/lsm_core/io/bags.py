"""Reading camera images, calibration, odometry and transforms from ROS bags (mcap, sqlite3), without ROS."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader
from rosbags.interfaces import Connection
from rosbags.typesys import Stores, get_typestore
from scipy.spatial.transform import Rotation

from lsm_core.errors import FileFormatError
from lsm_core.io.depth_messages import decode_compressed_depth, decode_depth
from lsm_core.io.image_messages import decode_compressed, decode_raw
from lsm_core.io.trajectories import Trajectory
from lsm_core.io.transforms import TransformTree

RAW, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
CAMERA_INFO, ODOMETRY = "sensor_msgs/msg/CameraInfo", "nav_msgs/msg/Odometry"
TRANSFORMS = "tf2_msgs/msg/TFMessage"


@dataclass(frozen=True)
class Calibration:
    """One CameraInfo.

    Attributes:
        K: [3, 3] float64 pixels.
        distortion: [n] float64 coefficients; all zero or empty for a rectified image.
        model: ROS name of the distortion model, such as "plumb_bob".
        width, height: pixels.
        frame_id: optical frame.
    """

    K: NDArray[np.float64]
    distortion: NDArray[np.float64]
    model: str
    width: int
    height: int
    frame_id: str

    @property
    def is_rectified(self) -> bool:
        """Whether the image needs no undistortion."""
        return not bool(np.any(self.distortion))


@dataclass(frozen=True)
class Frame:
    """One image of a bag.

    Attributes:
        index: number of the image on its topic, from 0.
        stamp_ns: header stamp, nanoseconds.
        frame_id: optical frame.
        image: [H, W, 3] uint8 RGB as recorded.
        calibration: the latest CameraInfo up to here, or None.
    """

    index: int
    stamp_ns: int
    frame_id: str
    image: NDArray[np.uint8]
    calibration: Calibration | None

    @property
    def K(self) -> NDArray[np.float64] | None:
        """[3, 3] intrinsics in pixels, or None when unknown or of another image size."""
        calibration = self.calibration
        if calibration is None or self.image.shape[:2] != (calibration.height, calibration.width):
            return None
        return calibration.K

    def rectified(self) -> Frame:
        """Return the frame without lens distortion; the same one where there is none or nothing is known."""
        c = self.calibration
        if c is None or c.is_rectified or self.K is None:
            return self
        if c.model in ("equidistant", "fisheye"):
            undistorted = cv2.fisheye.undistortImage(self.image, c.K, c.distortion[:4], Knew=c.K)
        else:
            undistorted = cv2.undistort(self.image, c.K, c.distortion)
        straight = Calibration(c.K, np.zeros(0), c.model, c.width, c.height, c.frame_id)
        return Frame(self.index, self.stamp_ns, self.frame_id, np.asarray(undistorted, np.uint8), straight)


class Bag:
    """An open bag; made by `open_bag`."""

    def __init__(self, reader: AnyReader, path: Path) -> None:
        self._reader = reader
        self.path = path

    @property
    def topics(self) -> dict[str, str]:
        """Message type by topic."""
        return {c.topic: c.msgtype for c in self._reader.connections}

    @property
    def duration_s(self) -> float:
        """Seconds between the first and the last message."""
        return float(self._reader.duration) / 1e9

    def topics_of(self, *types: str) -> list[str]:
        """Return the topics of the given message types that hold messages, sorted."""
        return sorted({c.topic for c in self._reader.connections if c.msgtype in types and c.msgcount})

    def image_topic(self, wanted: str | None = None) -> str:
        """Return the topic to read images from: the one asked for, else the one with most messages.

        Raises:
            FileFormatError: the bag has no image topic, or not the one asked for.
        """
        counts: dict[str, int] = {}
        for c in self._reader.connections:
            if c.msgtype in (RAW, COMPRESSED) and "depth" not in c.topic.lower():
                counts[c.topic] = counts.get(c.topic, 0) + c.msgcount
        if wanted is not None and wanted in counts:
            return wanted
        if wanted is not None or not counts:
            known = ", ".join(sorted(counts)) or "none"
            raise FileFormatError(
                f"'{self.path}' has no {f'image topic {wanted!r}' if wanted else 'colour image topic'}.",
                f"Image topics in it: {known}.",
            )
        return min(counts, key=lambda topic: (-counts[topic], topic))

    def frame_count(self, topic: str | None = None) -> int:
        """Return the number of images on a topic."""
        name = self.image_topic(topic)
        return sum(c.msgcount for c in self._reader.connections if c.topic == name)

    def camera_info_topic(self, image_topic: str) -> str | None:
        """Return the CameraInfo topic beside an image topic: the one with the longest common prefix."""
        candidates = self.topics_of(CAMERA_INFO)
        folder = image_topic.rsplit("/compressed", 1)[0].rsplit("/", 1)[0]
        beside = [t for t in candidates if t.rsplit("/", 1)[0] == folder]
        if beside:
            return beside[0]
        return candidates[0] if len(candidates) == 1 else None

    def depth_topic(self, image_topic: str) -> str | None:
        """Return the depth topic of an image topic: one said to be aligned, else the nearest by name."""
        candidates = [t for t in self.topics_of(RAW, COMPRESSED) if "depth" in t.lower()]

        def rank(topic: str) -> tuple[bool, int, bool, str]:
            aligned = any(word in topic.lower() for word in ("aligned", "registered"))
            shared = sum(a == b for a, b in zip(topic.split("/"), image_topic.split("/"), strict=False))
            return not aligned, -shared, self.topics[topic] == COMPRESSED, topic

        return min(candidates, key=rank) if candidates else None

    def stamps(self, topic: str) -> list[tuple[int, int]]:
        """Return (header stamp, receive time), nanoseconds, of every message of a topic, by header stamp."""
        return sorted((stamp_ns(message.header), received) for _, received, message in self.messages([topic]))

    def calibration(self, image_topic: str) -> Calibration | None:
        """Return the first calibration of an image topic, or None where it has none."""
        topic = self.camera_info_topic(image_topic)
        return None if topic is None else self._first_calibration(topic)

    def depth_image(self, topic: str, received_ns: int) -> tuple[NDArray[np.float32], str]:
        """Return depth [H, W] in metres (0 = none) and the frame of the message received at a time.

        Raises:
            FileFormatError: there is none, or it is no depth image.
        """
        for _, _, message in self.messages([topic], received_ns, received_ns + 1):
            decode = decode_compressed_depth if self.topics[topic] == COMPRESSED else decode_depth
            return decode(message), message.header.frame_id
        raise FileFormatError(f"'{self.path}' has no message on {topic} at {received_ns} ns.", "Reindex the bag.")

    def messages(
        self, topics: Sequence[str], start_ns: int | None = None, stop_ns: int | None = None
    ) -> Iterator[tuple[str, int, Any]]:
        """Yield (topic, receive time ns, message) in recorded order, received from start up to before stop.

        Raises:
            FileFormatError: the bag is damaged.
        """
        connections: list[Connection] = [c for c in self._reader.connections if c.topic in topics]
        if not connections:
            return
        try:
            for connection, received, raw in self._reader.messages(connections, start_ns, stop_ns):
                yield connection.topic, received, self._reader.deserialize(raw, connection.msgtype)
        except Exception as error:  # rosbags raises errors of its storage and of Python's integers as they are
            raise FileFormatError(f"'{self.path}' is damaged: {error}.", "Try `ros2 bag reindex`.") from error

    def frames(
        self,
        topic: str | None = None,
        only: Container[int] | None = None,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Iterator[Frame]:
        """Yield decoded images one by one, each with the latest calibration.

        Args:
            topic: image topic; None for the one with most images.
            only: header stamps (ns) of the images wanted, the others are not decoded; None for all.
            start_ns, stop_ns: receive times between which messages are read; `Frame.index` counts from there.

        Raises:
            FileFormatError: no image topic, or an image that cannot be decoded.
        """
        image_topic = self.image_topic(topic)
        info_topic = self.camera_info_topic(image_topic)
        calibration = None if info_topic is None else self._first_calibration(info_topic)
        decode = decode_compressed if self.topics[image_topic] == COMPRESSED else decode_raw
        index = 0
        topics = [image_topic] + ([info_topic] if info_topic else [])
        for name, _, message in self.messages(topics, start_ns, stop_ns):
            if name == info_topic:
                calibration = _calibration(message)
                continue
            stamp = stamp_ns(message.header)
            if only is None or stamp in only:
                yield Frame(index, stamp, message.header.frame_id, decode(message), calibration)
            index += 1

    def odometry(self, topic: str | None = None) -> tuple[Trajectory, str, str]:
        """Return the odometry poses T_odom_base, and the names of both frames.

        Raises:
            FileFormatError: the bag has no odometry.
        """
        topics = self.topics_of(ODOMETRY) if topic is None else [topic]
        stamps, poses, frames = [], [], ("", "")
        for _, _, message in self.messages(topics[:1]):
            stamps.append(stamp_ns(message.header))
            poses.append(_pose(message.pose.pose.position, message.pose.pose.orientation))
            frames = (message.header.frame_id, message.child_frame_id)
        if not stamps:
            raise FileFormatError(f"'{self.path}' has no odometry.", f"Topics in it: {', '.join(self.topics)}.")
        return Trajectory.from_unsorted(stamps, poses), *frames

    def transforms(self) -> TransformTree:
        """Return the tree that the bag's transform topics describe."""
        tree = TransformTree()
        for topic, _, message in self.messages(self.topics_of(TRANSFORMS)):
            for t in message.transforms:
                T = _pose(t.transform.translation, t.transform.rotation)
                parent, child = t.header.frame_id.lstrip("/"), t.child_frame_id.lstrip("/")
                if "static" in topic:
                    tree.add_static(parent, child, T)
                else:
                    tree.add(parent, child, stamp_ns(t.header), T)
        return tree

    def camera_trajectory(self, optical_frame: str) -> Trajectory | None:
        """Return T_odom_camera over time from odometry (or else tf) and the static extrinsics; None without."""
        tree = self.transforms()
        if self.topics_of(ODOMETRY):
            base_poses, _odom, base = self.odometry()
            extrinsics = tree.lookup(base, optical_frame, int(base_poses.stamps_ns[0]))
            if base == optical_frame:
                extrinsics = np.eye(4)
            if extrinsics is not None:
                return Trajectory(base_poses.stamps_ns, base_poses.poses @ extrinsics)
        root = tree.path_to_root(optical_frame)[-1]
        trajectory = tree.trajectory(root, optical_frame)
        return trajectory if len(trajectory) > 1 else None

    def _first_calibration(self, topic: str) -> Calibration | None:
        """Return the first CameraInfo: images recorded before it are of the same camera."""
        for _, _, message in self.messages([topic]):
            return _calibration(message)
        return None


@contextmanager
def open_bag(path: str | Path) -> Iterator[Bag]:
    """Open a bag folder, an .mcap or a .db3 file.

    Raises:
        FileFormatError: there is none, or it cannot be read.
    """
    location = Path(path)
    if not location.exists():
        raise FileFormatError(f"There is no bag '{location}'.", "Pass a bag folder, an .mcap or a .db3 file.")
    try:
        reader = AnyReader([location], default_typestore=get_typestore(Stores.ROS2_JAZZY))
        reader.open()
    except Exception as error:  # rosbags raises errors of its storage and YAML libraries as they are
        raise FileFormatError(
            f"'{location}' cannot be read as a bag: {error}.", "Pass a bag folder, an .mcap or a .db3 file."
        ) from error
    try:
        yield Bag(reader, location)
    finally:
        reader.close()


def stamp_ns(header: Any) -> int:
    """Return a header's stamp in nanoseconds."""
    return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)


def _pose(position: Any, orientation: Any) -> NDArray[np.float64]:
    """Return [4, 4] of a ROS position and quaternion."""
    quat = np.array([orientation.x, orientation.y, orientation.z, orientation.w], np.float64)
    pose = np.eye(4)
    if np.linalg.norm(quat) > 1e-9:
        pose[:3, :3] = Rotation.from_quat(quat).as_matrix()
    pose[:3, 3] = position.x, position.y, position.z
    return pose


def _calibration(message: Any) -> Calibration | None:
    """Return the calibration of a CameraInfo; None for an uncalibrated one (K zero)."""
    K = np.array(message.k, np.float64).reshape(3, 3)
    if not (K[0, 0] > 0 and K[1, 1] > 0):
        return None
    distortion = np.array(message.d, np.float64)
    model, frame_id = message.distortion_model, message.header.frame_id
    return Calibration(K, distortion, model, int(message.width), int(message.height), frame_id)
