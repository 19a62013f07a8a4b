"""Run a reader in a process that may take little memory, and see that it refuses the file."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, sys
sys.path[:0] = {paths!r}
from lsm_core.errors import LsmError
{setup}
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + {room} * 2**20,) * 2)
try:
    {call}
except LsmError as error:
    print("refused:", error)
else:
    print("read")
"""


def outcome(setup: str, call: str, room_mib: int = 256) -> str:
    """Return `refused: MESSAGE` or `read`; fail the test when the process ends otherwise (no memory, a crash).

    Args:
        setup: imports, before the limit is set.
        call: what is tried.
        room_mib: address space to spare.
    """
    program = PROGRAM.format(paths=[p for p in sys.path if p], setup=setup, call=call, room=room_mib)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()
