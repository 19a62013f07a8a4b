"""Numbers of keyframes: one sequence for all cameras of a node, from 1, never given twice."""

from __future__ import annotations

import threading


class KeyframeIds:
    """Hands out increasing numbers; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """Return the next number."""
        with self._lock:
            self._last += 1
            return self._last

    def skip_past(self, number: int) -> None:
        """Let what comes be larger than a number: keyframes of a loaded map keep theirs."""
        with self._lock:
            self._last = max(self._last, number)
