"""The checks of ROS live in the ROS package; here it is found by its name, where it is installed.

A middleware that cannot start ends the process that loads it (a wrong RMW_IMPLEMENTATION exits with 102, a domain
above 232 with 1). So another process joins the graph first, and only where that works this one loads ROS.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
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
NO_RMW = Fault(
    "dds.no_rmw",
    "problem",
    "The middleware that RMW_IMPLEMENTATION names does not load.",
    "unset RMW_IMPLEMENTATION, or install it: sudo apt install ros-jazzy-{package}.",
    "install.md",
)
REFUSED = Fault(
    "dds.refused",
    "problem",
    "The middleware does not let a new node join the graph.",
    "Look at the findings above (domain, security); unset the variable that the message names.",
    "troubleshooting.md#not-starting",
)
FAULTS = (NO_ROS, BROKEN_ROS, NO_PACKAGE, NO_RMW, REFUSED)

IMPORTED = "imported"
JOIN = f"""
import rclpy
print("{IMPORTED}", flush=True)
rclpy.init(args=[])
rclpy.create_node("lsm_doctor_join", start_parameter_services=False, enable_rosout=False).destroy_node()
rclpy.shutdown()
"""
JOIN_S = 30.0
Told = Callable[[str], None]


@dataclass(frozen=True)
class RosHalf:
    """The ROS package's checks, or the finding that says why there are none.

    Attributes:
        module: the package, None where it is not visible.
        missing: why the graph cannot be looked at, None where it can.
    """

    module: Any = None
    missing: Finding | None = None

    def findings(self, settings: Settings, seconds: float, told: Told) -> Iterator[Finding]:
        """Yield what the ROS package finds within about so many seconds of listening.

        Args:
            settings: of the user.
            seconds: to listen to the graph.
            told: takes a line on what goes on.
        """
        if self.missing is None:
            yield from self.module.ros_findings(settings, seconds, told)
            return
        if self.module is not None:
            yield from self.module.environment_findings()
        yield self.missing

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What the ROS package can find; nothing where it cannot be loaded."""
        return () if self.module is None or self.missing is not None else tuple(self.module.all_faults())


def find_ros_half(environment: Mapping[str, str] = os.environ) -> RosHalf:
    """Look for rclpy and the ROS package, and try to join the graph."""
    if importlib.util.find_spec("rclpy") is None:
        return RosHalf(missing=NO_ROS.seen("ROS 2", "no rclpy here"))
    refusal = judge_join(*try_to_join(environment), environment)
    if refusal is not None and refusal.code == BROKEN_ROS.code:
        return RosHalf(missing=refusal)
    try:
        module = importlib.import_module(PACKAGE)  # loads nothing of ROS yet
    except Exception as error:
        return RosHalf(missing=NO_PACKAGE.seen("ROS 2", f"{type(error).__name__}: {_one_line(str(error))}"))
    return RosHalf(module, refusal)


def try_to_join(environment: Mapping[str, str]) -> tuple[int, str, str]:
    """Let another process import rclpy and make a node; return exit code, standard output and error."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", JOIN],
            env=dict(environment),
            capture_output=True,
            text=True,
            timeout=JOIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, IMPORTED, f"no answer within {JOIN_S:g} s"
    return done.returncode, done.stdout, done.stderr


def judge_join(code: int, said: str, complained: str, environment: Mapping[str, str]) -> Finding | None:
    """Return why no node can join the graph, None where one has.

    Args:
        code: exit code; negative for a signal.
        said: standard output.
        complained: standard error.
        environment: of the attempt.
    """
    if code == 0:
        return None
    spoken = complained.splitlines() or [line for line in said.splitlines() if line != IMPORTED]
    lines = [_one_line(line) for line in spoken if line.strip()]
    last = lines[-1] if lines else f"the process ended with code {code}"
    wanted = environment.get("RMW_IMPLEMENTATION", "")
    if wanted and (wanted in complained or "RMW implementation" in complained):
        return NO_RMW.seen("Middleware", f"{wanted}: {last}", package=wanted.replace("_", "-"))
    if IMPORTED not in said:
        return BROKEN_ROS.seen("ROS 2", f"{environment.get('ROS_DISTRO', 'unknown distribution')}: {last}")
    return REFUSED.seen("Graph", last)


def _one_line(text: str) -> str:
    """Return text without colours and line ends, at most 400 characters."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())[:400]
