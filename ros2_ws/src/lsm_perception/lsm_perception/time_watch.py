"""The node's clock: does it jump, does it stand still?"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from enum import StrEnum

from rclpy.clock import ClockChange, JumpHandle, JumpThreshold, ROSClock, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node

logger = logging.getLogger(__name__)
SAME_JUMP_S = 2.0  # of real time: what is noticed within it belongs to one jump
STANDING_S = 3.0  # of real time without a tick until the clock is said to stand still


class ClockState(StrEnum):
    """What drives the node's clock."""

    SYSTEM = "system"  # the machine's clock
    UNSET = "unset"  # use_sim_time is set and no /clock has come yet
    RUNNING = "simulated"  # /clock
    STANDING = "standing"  # /clock has come and stands still: a paused bag or simulator


class TimeWatch:
    """Tells of jumps of the node's clock back in time, and knows when /clock stands still.

    A bag that starts again is noticed by the clock and by the stamps of the images; `is_new` makes one jump of it.
    """

    def __init__(
        self, node: Node, on_jump: Callable[[str], None], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Prepare; nothing is watched before `start`.

        Args:
            node: whose clock it is.
            on_jump: told of each new jump of the clock, in the thread that receives /clock.
            now_s: real time.
        """
        self._node = node
        self._on_jump = on_jump
        self._now_s = now_s
        self._lock = threading.Lock()
        self._handle: JumpHandle | None = None
        self._jumped_s = float("-inf")
        self._clock_ns = 0
        self._ticked_s = float("-inf")
        self.state = ClockState.SYSTEM
        self.resumed_s = float("-inf")  # real time at which a clock that stood still was seen to run again

    def start(self, back_s: float) -> None:
        """Watch for jumps of the clock back by this many seconds, and for another clock."""
        self.stop()
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-back_s), on_clock_change=True)
        self._handle = self._node.get_clock().create_jump_callback(threshold, post_callback=self._jumped)

    def stop(self) -> None:
        """Watch no more."""
        if self._handle is not None:
            self._handle.unregister()
            self._handle = None

    def is_new(self) -> bool:
        """Whether a jump noticed now is another one than that before; from now on it is the one before."""
        with self._lock:
            now_s = self._now_s()
            new = now_s - self._jumped_s > SAME_JUMP_S
            self._jumped_s = now_s if new else self._jumped_s
            return new

    def tick(self) -> None:
        """Look at the clock, about once a second; one log line when it stops and one when it goes on."""
        before, self.state = self.state, self._look()
        if self.state is ClockState.STANDING and before is not ClockState.STANDING:
            logger.info("/clock stands still: paused.")
        elif before is ClockState.STANDING and self.state is not ClockState.STANDING:
            self.resumed_s = self._now_s()
            logger.info("/clock runs again.")

    def _look(self) -> ClockState:
        clock = self._node.get_clock()
        if not (isinstance(clock, ROSClock) and clock.ros_time_is_active):
            return ClockState.SYSTEM
        now_s, clock_ns = self._now_s(), clock.now().nanoseconds
        if clock_ns != self._clock_ns:
            self._clock_ns, self._ticked_s = clock_ns, now_s
        if clock_ns == 0:
            return ClockState.UNSET
        return ClockState.STANDING if now_s - self._ticked_s > STANDING_S else ClockState.RUNNING

    def _jumped(self, jump: TimeJump) -> None:
        other = jump.clock_change in (ClockChange.ROS_TIME_ACTIVATED, ClockChange.ROS_TIME_DEACTIVATED)
        if self.is_new():
            back_s = -jump.delta.nanoseconds * 1e-9
            self._on_jump("another clock" if other else f"time jumped back by {back_s:.1f} s")
