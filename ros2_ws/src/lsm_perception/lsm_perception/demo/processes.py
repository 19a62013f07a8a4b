"""Child processes with their output in a file: started, watched, stopped politely."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

STOP_S = 12.0


class Child:
    """`python -m MODULE WORDS...` in a session of its own, so that a Ctrl-C reaches only the demo."""

    def __init__(self, module: str, words: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.module = module
        self.log = log
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *words],
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=_default_interrupt,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def tail(self, lines: int = 8) -> str:
        """Return the end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def line_with(self, text: str) -> str:
        """Return the first line of its output that holds a text, or an empty one."""
        lines = self.log.read_text(errors="replace").splitlines()
        return next((line for line in lines if text in line), "")

    def stop(self) -> int:
        """Interrupt it as Ctrl-C would, and after a while end its process group; returns the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                return self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait(STOP_S)


def _default_interrupt() -> None:
    """Let a child be interrupted even where this process was started with SIGINT ignored (a shell's `&`)."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def child_environment(log_folder: Path) -> dict[str, str]:
    """Return this process's environment with ROS logs in the demo's folder and output unbuffered.

    Also isolates the demo from other ROS systems: own domain and this machine only, unless the user has chosen.
    """
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_LOG_DIR", str(log_folder.resolve()))
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
