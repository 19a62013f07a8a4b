"""Commands run as if this clone were not on the path."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

DROPPED = ("PYTHON", "AMENT_", "COLCON_", "ROS_", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "_ROS_")


def clean_environment() -> dict[str, str]:
    """Return the environment without what would put this clone's sources on the path."""
    return {key: value for key, value in os.environ.items() if not key.startswith(DROPPED)}


def run(command: list[object], cwd: Path) -> str:
    """Run a command in a clean environment and return what it printed; fail the test with all of it otherwise."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
