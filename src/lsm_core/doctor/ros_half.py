"""The checks of ROS live in the ROS package; here it is found by its name, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lsm_core.doctor.finding import Fault, Finding
from lsm_core.doctor.settings import Settings

PACKAGE = "lsm_perception.doctor"
NO_ROS = Fault(
    "ros.absent",
    "note",
    "No ROS 2 is visible; the library works without, the node does not.",
    "source /opt/ros/jazzy/setup.bash (and the workspace's install/setup.bash), or run through ./run lsm doctor.",
    "install.md",
)
BROKEN_ROS = Fault(
    "ros.broken",
    "problem",
    "ROS 2 is there and rclpy does not import with this Python.",
    "Use the Python that this ROS 2 is for (Jazzy: 3.12; the wheels of ./run setup: 3.11 or 3.12), and run through "
    "./run lsm doctor.",
    "install.md",
)
NO_PACKAGE = Fault(
    "ros.no_package",
    "problem",
    "ROS 2 is there and the package lsm_perception is not visible.",
    "colcon build the workspace and source its install/setup.bash, or run through ./run lsm doctor.",
    "install.md#on-a-full-ros-2-installation",
)
FAULTS = (NO_ROS, BROKEN_ROS, NO_PACKAGE)

Told = Callable[[str], None]


@dataclass(frozen=True)
class RosHalf:
    """The ROS package's checks, or the finding that says why there are none."""

    module: Any = None
    missing: Finding | None = None

    def findings(self, settings: Settings, seconds: float, told: Told) -> Iterator[Finding]:
        """Yield what the ROS package finds within about so many seconds of listening.

        Args:
            settings: of the user.
            seconds: to listen to the graph.
            told: takes a line on what goes on.
        """
        if self.missing is not None:
            yield self.missing
            return
        yield from self.module.ros_findings(settings, seconds, told)

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What the ROS package can find; nothing where it is not there."""
        return () if self.module is None else tuple(self.module.FAULTS)


def find_ros_half(environment: Mapping[str, str] = os.environ) -> RosHalf:
    """Look for rclpy and the ROS package."""
    if importlib.util.find_spec("rclpy") is None:
        return RosHalf(missing=NO_ROS.seen("ROS 2", "no rclpy here"))
    try:
        importlib.import_module("rclpy")
    except Exception as error:  # a broken installation can raise anything
        where = environment.get("ROS_DISTRO", "unknown distribution")
        return RosHalf(missing=BROKEN_ROS.seen("ROS 2", f"{where}: {_one_line(error)}"))
    try:
        return RosHalf(importlib.import_module(PACKAGE))
    except Exception as error:
        return RosHalf(missing=NO_PACKAGE.seen("ROS 2", _one_line(error)))


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
