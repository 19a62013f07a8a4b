"""Lets one log line of a kind through in a while, so that a faulty driver cannot fill the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

PERIOD_S = 5.0
MAX_KINDS = 1000


class LogThrottle(logging.Filter):
    """Of warnings and errors made by one call, one passes per period; the next tells how many did not."""

    def __init__(self, period_s: float = PERIOD_S, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._period_s = period_s
        self._now = now
        self._lock = threading.Lock()
        self._kinds: dict[tuple[str, int], tuple[float, int]] = {}  # (file, line) -> time of the last, hidden since

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record shall be logged; notes the hidden ones in its text."""
        if record.levelno < logging.WARNING:
            return True
        kind, now = (record.pathname, record.lineno), self._now()
        with self._lock:
            last, hidden = self._kinds.get(kind, (float("-inf"), 0))
            if now - last < self._period_s:
                self._kinds[kind] = (last, hidden + 1)
                return False
            if len(self._kinds) >= MAX_KINDS:
                self._kinds.clear()
            self._kinds[kind] = (now, 0)
        if hidden:
            record.msg, record.args = f"{record.getMessage()} ({hidden} more like it)", ()
        return True
