"""What a process holds, read from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ProcessFigures:
    """One process at one moment.

    Attributes:
        rss_mib: resident memory, with memory shared with others (the DDS shared memory is).
        anonymous_mib: its own part of it.
        threads, descriptors: how many.
        cpu_s: processor time so far.
    """

    rss_mib: float
    anonymous_mib: float
    threads: int
    descriptors: int
    cpu_s: float


def process_figures(pid: int) -> ProcessFigures | None:
    """Return the figures of a process, or None when it is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        lines = (folder / "status").read_text(encoding="ascii", errors="replace").splitlines()
        status = dict(line.split(":", 1) for line in lines if ":" in line)
        # After the name in brackets: field 3 is the state, 14 and 15 are the user's and the system's time.
        times = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        descriptors = len(list((folder / "fd").iterdir()))
        return ProcessFigures(
            rss_mib=_mib(status["VmRSS"]),
            anonymous_mib=_mib(status["RssAnon"]),
            threads=int(status["Threads"]),
            descriptors=descriptors,
            cpu_s=(int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK"),
        )
    except (OSError, KeyError):
        return None


def _mib(text: str) -> float:
    """Return MiB of `1234 kB`."""
    return int(text.split()[0]) / 1024
