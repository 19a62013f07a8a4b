"""Waits for tf: what came with a stamp and a frame is used once it is known where that frame was."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException, TransformListener

from lsm_core.errors import InputError
from lsm_perception.conversions.poses import matrix_from_transform
from lsm_perception.examples.guarded import QUIET_S
from lsm_perception.symptoms import Symptom, see

T = TypeVar("T")
Matrix = NDArray[np.float64]
MOST = 8  # that wait at a time; older ones are given up
CHECK_S = 0.05
JUMP_BACK_NS = 1_000_000_000


@dataclass(frozen=True)
class _Waiting(Generic[T]):
    item: T
    frame: str
    stamp_ns: int
    until_s: float


class Placed(Generic[T]):
    """Places items in a frame, in the order they came, at their own stamps; never by the newest transform."""

    def __init__(self, node: Node, frame: str, wait_s: float, use: Callable[[T, Matrix], None]) -> None:
        """Start listening to tf.

        Args:
            node: that is spun.
            frame: to place things in.
            wait_s: how long an item waits for its transform.
            use: called with an item and T_frame_item [4, 4], metres.
        """
        self._node = node
        self._frame = frame
        self._wait_s = wait_s
        self._use = use
        self._reason = ""
        self._newest_ns = -1
        self._waiting: deque[_Waiting[T]] = deque(maxlen=MOST)
        self._buffer = Buffer()
        self._listener = TransformListener(self._buffer, node)
        # By steady time, so that a simulated clock can neither stop nor hurry it.
        node.create_timer(CHECK_S, self._check, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def put(self, item: T, frame: str, stamp_ns: int) -> None:
        """Use an item as soon as its place is known."""
        if self._newest_ns - stamp_ns > JUMP_BACK_NS:
            # Time has jumped back (a bag that starts again): tf would refuse all that is older than its newest.
            self._waiting.clear()
            self._buffer.clear()
            self._newest_ns = stamp_ns
        self._newest_ns = max(self._newest_ns, stamp_ns)
        self._waiting.append(_Waiting(item, frame, stamp_ns, time.monotonic() + self._wait_s))
        self._check()

    def clear(self) -> None:
        """Give up what waits."""
        self._waiting.clear()

    def pose_of(self, frame: str, stamp_ns: int) -> Matrix | None:
        """Return T_frame_other [4, 4] at a stamp, None where tf does not know it."""
        try:
            found = self._buffer.lookup_transform(self._frame, frame, Time(nanoseconds=stamp_ns))
            return matrix_from_transform(found.transform)
        except (TransformException, InputError) as error:
            self._reason = str(error)
            return None

    def _check(self) -> None:
        while self._waiting:
            first = self._waiting[0]
            pose = self.pose_of(first.frame, first.stamp_ns)
            if pose is None and time.monotonic() < first.until_s:
                return
            self._waiting.popleft()
            if pose is not None:
                self._use_safely(first.item, pose)
                continue
            line = f"tf does not know '{first.frame}' in '{self._frame}' at the image's time: {self._reason}"
            self._node.get_logger().warning(see(line, Symptom.PLANNER), throttle_duration_sec=QUIET_S)

    def _use_safely(self, item: T, pose: Matrix) -> None:
        """Use an item; what is raised is logged, since it may be raised in a timer."""
        try:
            self._use(item, pose)
        except Exception as error:
            line = f"A message was not used: {type(error).__name__}: {error}"
            self._node.get_logger().error(see(line, Symptom.PLANNER), throttle_duration_sec=QUIET_S)
