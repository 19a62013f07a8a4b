"""The robot's own motion at an image's stamp: from tf, or from the odom topic and static extrinsics."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import deque

import numpy as np
import torch
from nav_msgs.msg import Odometry
from numpy.typing import NDArray
from rclpy.duration import Duration
from rclpy.time import Time
from tf2_ros import Buffer, TransformException

from lsm_core.errors import InputError
from lsm_core.geometry.se3 import interpolate
from lsm_perception.conversions.poses import matrix_from_pose, matrix_from_transform
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.parameter_groups import OdometryParameters

Matrix = NDArray[np.float64]
KEPT = 2000


class OdometrySource:
    """Answers T_odom_cam at a stamp; safe to call from several threads."""

    def __init__(self, buffer: Buffer, odom_frame: str, parameters: OdometryParameters) -> None:
        self._buffer = buffer
        self._odom_frame = odom_frame
        self._parameters = parameters
        self._lock = threading.Lock()
        self._messages: deque[tuple[int, Matrix, str]] = deque(maxlen=KEPT)
        self._refusal = ""  # of the newest message of the topic
        self.last_reason = ""

    def configure(self, parameters: OdometryParameters) -> None:
        """Take new limits."""
        self._parameters = parameters

    def add(self, message: Odometry) -> None:
        """Take a message of the odom topic; malformed, foreign or older ones are ignored with a reason."""
        stamp_ns = stamp_to_ns(message.header.stamp)
        frame = message.header.frame_id.removeprefix("/")
        if frame not in ("", self._odom_frame):
            # Its poses would hang the map under the wrong frame.
            self._refusal = f"odometry is in frame '{frame[:80]}', and odom_frame is '{self._odom_frame}'"
            return
        try:
            T_odom_base = matrix_from_pose(message.pose.pose)
        except InputError as error:
            self._refusal = str(error)
            return
        self._refusal = ""
        with self._lock:
            if self._messages and stamp_ns <= self._messages[-1][0]:
                if self._messages[-1][0] - stamp_ns < 1_000_000_000:
                    return
                self._messages.clear()
            self._messages.append((stamp_ns, T_odom_base, message.child_frame_id))

    def pose(self, image_frame: str, stamp_ns: int) -> Matrix | None:
        """Return T_odom_cam [4, 4] in metres at a stamp, or None with the reason in `last_reason`."""
        source = self._parameters.source
        if source == "none" or not image_frame:
            self.last_reason = "off" if source == "none" else "the image has no frame_id"
            return None
        found = None
        if source in ("auto", "tf"):
            found = self._from_tf(image_frame, stamp_ns)
        if found is None and source in ("auto", "topic"):
            found = self._from_topic(image_frame, stamp_ns)
        if found is not None:
            self.last_reason = ""
        return found

    def reset(self) -> None:
        """Forget the odom topic's messages and the moving frames of tf.

        One stamp far ahead would otherwise make tf's buffer refuse all that comes after it.
        """
        with self._lock:
            self._messages.clear()
        self._buffer.clear()

    def _from_tf(self, image_frame: str, stamp_ns: int) -> Matrix | None:
        # Waiting helps only where odometry comes by tf at all.
        known = self._buffer.can_transform(self._odom_frame, image_frame, Time())
        wait_s = self._parameters.max_wait_s if known else 0.0
        return self._lookup(self._odom_frame, image_frame, stamp_ns, wait_s)

    def _lookup(self, target: str, source: str, stamp_ns: int, wait_s: float) -> Matrix | None:
        try:
            found = self._buffer.lookup_transform(
                target, source, Time(nanoseconds=stamp_ns), Duration(seconds=wait_s)
            )
            return matrix_from_transform(found.transform)
        except (TransformException, InputError) as error:
            self.last_reason = str(error)
            return None

    def _from_topic(self, image_frame: str, stamp_ns: int) -> Matrix | None:
        with self._lock:
            messages = list(self._messages)
        if not messages:
            self.last_reason = self._refusal or self.last_reason or "no odometry has come"
            return None
        base_frame = messages[-1][2]
        T_base_cam = np.eye(4) if base_frame == image_frame else self._lookup(base_frame, image_frame, 0, 0.0)
        if T_base_cam is None:
            return None
        T_odom_base = interpolated(messages, stamp_ns, int(self._parameters.max_gap_s * 1e9))
        if T_odom_base is None:
            self.last_reason = "the odom topic does not reach around the image's stamp"
            return None
        return T_odom_base @ T_base_cam


def interpolated(messages: list[tuple[int, Matrix, str]], stamp_ns: int, max_gap_ns: int) -> Matrix | None:
    """Return the pose at a stamp between messages at most `max_gap_ns` apart, None outside."""
    index = bisect_left(messages, stamp_ns, key=lambda message: message[0])
    if index < len(messages) and messages[index][0] == stamp_ns:
        return messages[index][1]
    if index in (0, len(messages)):
        return None
    (t0, T0, _), (t1, T1, _) = messages[index - 1], messages[index]
    if t1 - t0 > max_gap_ns:
        return None
    moved = interpolate(torch.from_numpy(T0), torch.from_numpy(T1), (stamp_ns - t0) / (t1 - t0))
    return np.asarray(moved.numpy(), np.float64)
