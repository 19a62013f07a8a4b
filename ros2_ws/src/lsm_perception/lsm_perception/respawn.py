"""Run a process in the foreground, and start it again when it ends with an error."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

RESPAWN_DELAY_S = 2.0


def run_in_foreground(command: Sequence[str], respawn: bool, delay_s: float = RESPAWN_DELAY_S) -> int:
    """Run a command until it ends; SIGINT and SIGTERM are handed to it and end the respawning.

    Args:
        command: the command line.
        respawn: start it again after an exit code other than 0.
        delay_s: pause before that, seconds.

    Returns:
        The last exit code; 0 when told to stop between two runs.
    """
    stopping = threading.Event()
    process: subprocess.Popen[bytes] | None = None

    def stop(number: int, _frame: object) -> None:
        stopping.set()
        if process is not None:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    while not stopping.is_set():
        process = subprocess.Popen(command, start_new_session=True)
        if stopping.is_set():  # the signal came while the process was being made
            process.terminate()
        code = process.wait()
        if stopping.is_set() or not respawn or code == 0:
            return code
        print(f"The node ended with code {code}; starting it again in {delay_s:.0f} s.", file=sys.stderr)
        stopping.wait(delay_s)
    return 0
