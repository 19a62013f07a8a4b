"""A program of the documents as a process: its log, waiting for what it says, its end by Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from waiting import wait_until


class Running:
    """A process, ended at the end of a `with` block whatever happens."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """Start it in the working directory; what it prints goes into the file."""
        self._log = log
        environment = os.environ | {"LSM_PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        with log.open("w") as out:
            self.process = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment
            )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self._log.read_text("utf-8", errors="replace")

    def wait_for(self, condition: str | Callable[[], bool], timeout_s: float = 120.0) -> None:
        """Wait until it prints a text, or a condition holds; it must live until then."""
        holds = (lambda: condition in self.text) if isinstance(condition, str) else condition
        wait_until(lambda: holds() or self.process.poll() is not None, timeout_s)
        assert holds(), self.text[-3000:]

    def interrupt(self, timeout_s: float = 60.0) -> int:
        """Send Ctrl-C and return the exit code; there must be no traceback."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout_s)
        assert "Traceback" not in self.text, self.text[-3000:]
        return code
