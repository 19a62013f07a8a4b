"""Lets a few log lines of a kind through in a while, so that a faulty driver cannot fill the disk."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

PERIOD_S = 5.0
BURST = 3
MAX_KINDS = 1000


@dataclass
class _Window:
    """What happened to one kind of line since `start_s`."""

    start_s: float
    passed: int = 0
    hidden: int = 0


class LogThrottle(logging.Filter):
    """Of warnings and errors of a kind a few pass per period; the first after that tells how many did not.

    A kind is a call with its format: arguments of the format do not make another kind.
    """

    def __init__(
        self, period_s: float = PERIOD_S, burst: int = BURST, now: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._period_s = period_s
        self._burst = burst
        self._now = now
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, int, str], _Window] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record shall be logged; tells of hidden ones in its text."""
        if record.levelno < logging.WARNING:
            return True
        kind, now = (record.pathname, record.lineno, str(record.msg)), self._now()
        hidden = 0
        with self._lock:
            window = self._windows.get(kind)
            if window is None or now - window.start_s >= self._period_s:
                hidden = window.hidden if window else 0
                if len(self._windows) >= MAX_KINDS:
                    self._windows.clear()
                window = self._windows[kind] = _Window(now)
            if window.passed >= self._burst:
                window.hidden += 1
                return False
            window.passed += 1
        if hidden:
            record.msg, record.args = f"{record.getMessage()} ({hidden} more like it)", ()
        return True
