"""The process of an example: ROS arguments in, one node spun until SIGINT or SIGTERM, exit code 0 then."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lsm_perception.requirements import missing_package

if TYPE_CHECKING:
    from rclpy.node import Node

NEEDED = ("rclpy", "lsm_core", "lsm_perception_msgs")  # no model, so no torch


def run(program: str, make: Callable[[], Callable[[], Node]], words: Sequence[str]) -> int:
    """Run a node until it is told to stop.

    Args:
        program: its name, for messages.
        make: imports the node's class and returns what creates the node; called once the packages are there.
        words: of the command line; ROS's own follow `--ros-args`.

    Returns:
        0 after SIGINT or SIGTERM; 1 when a package is missing or a parameter is refused.
    """
    complaint = missing_package(program, NEEDED)
    if complaint is not None:
        print(complaint, file=sys.stderr)
        return 1
    from lsm_core.errors import LsmError
    from lsm_perception.dds_profile import use_profile
    from lsm_perception.spinning import spinning

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    use_profile()
    try:
        with spinning(make(), words):
            stop.wait()
    except LsmError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return 1
    return 0
