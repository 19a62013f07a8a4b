"""The interpreter: which one, and whether `ros2 run` would start the node with the same."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from lsm_core.doctor.finding import Fault, Finding, ok

VERSION = Fault(
    "python.version",
    "problem",
    "The dependencies have wheels for Python 3.11 and 3.12 only.",
    "Use Python 3.11 or 3.12: ./run setup makes such an environment.",
    "install.md",
)
MISSING = Fault(
    "python.missing",
    "problem",
    "The interpreter that `ros2 run` and `ros2 launch` would take does not exist.",
    "Set {variable} to an existing one (export LSM_PYTHON=/path/to/.venv/bin/python), or unset it.",
    "install.md",
)
OTHER = Fault(
    "python.other",
    "note",
    "`ros2 run` and `ros2 launch` would start the node with another Python than the one that runs the doctor.",
    "Activate the environment that has lsm_core, or export LSM_PYTHON={here} before ros2 run and ros2 launch.",
    "install.md",
)
FAULTS = (VERSION, MISSING, OTHER)


def check_version(version: tuple[int, int] = sys.version_info[:2], executable: str = sys.executable) -> Finding:
    """Is the interpreter one that the dependencies have wheels for?"""
    text = f"{platform.python_version()} at {executable}"
    return ok("Python", text) if (3, 11) <= version <= (3, 12) else VERSION.seen("Python", text)


def check_launcher(
    environment: Mapping[str, str] = os.environ, prefix: str = sys.prefix, executable: str = sys.executable
) -> Finding:
    """Would the shell launchers of the ROS package take this interpreter's environment?

    They take $LSM_PYTHON, else python3 of $VIRTUAL_ENV, else python3 of $PATH (scripts/lsm_perception).

    Args:
        environment: variables.
        prefix: of the environment that runs now.
        executable: the interpreter that runs now.
    """
    name = "Python of ros2 run"
    variable, wanted = _wanted(environment)
    found = shutil.which(wanted, path=environment.get("PATH", os.defpath))
    if found is None:
        return MISSING.seen(name, f"{variable}: {wanted} does not exist", variable=variable)
    # An environment's python is a link to the one it was made with: what counts is the folder it stands in.
    if Path(found).parent.parent.resolve() == Path(prefix).resolve() or Path(found) == Path(executable):
        return ok(name, f"{found}, by {variable}")
    return OTHER.seen(name, f"{found}, by {variable}; this is {executable}", here=executable)


def _wanted(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return what decides, and the interpreter it names."""
    if environment.get("LSM_PYTHON"):
        return "LSM_PYTHON", environment["LSM_PYTHON"]
    if environment.get("VIRTUAL_ENV"):
        return "VIRTUAL_ENV", f"{environment['VIRTUAL_ENV']}/bin/python3"
    return "PATH", "python3"
