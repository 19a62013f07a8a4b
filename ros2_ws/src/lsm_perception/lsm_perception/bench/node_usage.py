"""What a process and the machine have used, read from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Usage:
    """Used so far.

    Attributes:
        process_s: processor time of the process, all its threads.
        machine_s: processor time of everything on the machine.
        own_s: processor time of this process, which sends and listens.
    """

    process_s: float
    machine_s: float
    own_s: float


def usage(pid: int) -> Usage:
    """Return what the process with this id and the machine have used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    process = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _idle, _wait, irq, soft_irq = (int(word) for word in line[:7])
    own = os.times()
    return Usage(process, (user + nice + system + irq + soft_irq) / TICKS_PER_S, own.user + own.system)


def memory_mib(pid: int) -> tuple[float, float]:
    """Return the resident memory of a process and its highest value so far, MiB."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = {
        line.split(":")[0]: line.split()[1] for line in text.splitlines() if line.startswith(("VmRSS", "VmHWM"))
    }
    return int(found["VmRSS"]) / 1024, int(found["VmHWM"]) / 1024
