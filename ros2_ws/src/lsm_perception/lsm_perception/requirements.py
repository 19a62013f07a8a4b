"""Packages that a program of this one needs, and what to do where one is missing; imports nothing of them."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable

FIXES = {
    "rclpy": "source a ROS 2 installation (or run ./run setup in the repository)",
    "torch": "pip install 'torch==2.13.*' in the environment of this Python, or set LSM_PYTHON to one that has it",
    "lsm_core": "pip install -e . at the root of the repository, or set LSM_PYTHON to an environment that has it",
    "viser": "pip install -e '.[viewer]' at the root of the repository, in the environment of this Python",
    "lsm_perception_msgs": "colcon build the workspace and source its setup file",
}


def missing_package(program: str, names: Iterable[str]) -> str | None:
    """Return one line that names the first missing package and the fix, or None."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            return f"{program}: Python package '{name}' is missing in {sys.executable}. Fix: {FIXES[name]}."
    return None
