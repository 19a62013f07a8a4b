"""A robot that walks to and fro in the room for as long as a test likes, with growing stamps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from robot import Robot
from synthetic_world import View

WALL_M = 2.4  # half the room's width, less a little
STEP_NS = 100_000_001


class Walker:
    """Sends one view after another, back and forth, each with its odometry when that is wanted."""

    def __init__(self, robot: Robot, views: Sequence[View], odometry: bool = False, start_ns: int = 0) -> None:
        """Begin at the first view.

        Args:
            robot: that publishes.
            views: of a walk; those inside the room are used.
            odometry: also publish tf from odom to the camera; can be changed on the way.
            start_ns: stamp of the first image; that of the first view when 0.
        """
        self._robot = robot
        there = [view for view in views if abs(view.T_world_cam[0, 3]) < WALL_M]
        self._round = there + there[-2:0:-1]
        self.odometry = odometry
        self._stamp_ns = start_ns or views[0].stamp_ns
        self.sent = 0

    def next(self) -> View:
        """Return the next view with its stamp, without sending it."""
        view = replace(self._round[self.sent % len(self._round)], stamp_ns=self._stamp_ns)
        self._stamp_ns += STEP_NS
        self.sent += 1
        return view

    def step(self, pause_s: float = 0.1) -> View:
        """Send the next view, and wait as long as a camera of 10 Hz would."""
        view = self.next()
        if self.odometry:
            self._robot.publish_odometry([view])
        self._robot.send(view)
        time.sleep(pause_s)
        return view

    def walk_until(self, done: Callable[[], bool], timeout_s: float = 30.0, pause_s: float = 0.1) -> bool:
        """Send views until a condition holds; False when it does not in time."""
        deadline = time.monotonic() + timeout_s
        while not done():
            if time.monotonic() > deadline:
                return False
            self.step(pause_s)
        return True
