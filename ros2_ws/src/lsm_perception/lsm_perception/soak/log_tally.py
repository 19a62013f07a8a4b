"""Counts kinds of lines in a log that grows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

KINDS = {
    "errors": ("[ERROR]", "[FATAL]", "Traceback (most recent call last)"),
    "warnings": ("[WARN]",),
    "jumps": ("time jumped back",),
}


class LogTally:
    """Reads what was added since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._rest = b""
        self.counts: Counter[str] = Counter()

    def look(self) -> Counter[str]:
        """Count the lines that are new, and return all counts so far."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", errors="replace")
            for kind, marks in KINDS.items():
                self.counts[kind] += any(mark in text for mark in marks)
        return self.counts
