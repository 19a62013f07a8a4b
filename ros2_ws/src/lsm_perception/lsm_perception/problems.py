"""Faults an operator can mend: the newest one for diagnostics, and log lines that do not flood."""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

PERIOD_S = 5.0
LINES_PER_PERIOD = 5
KINDS_KEPT = 64


class Problems:
    """Thread-safe notes of faults; the same kind is logged once per period, all kinds together a few times."""

    def __init__(self, log: Callable[[str], object], now: Callable[[], float] = time.monotonic) -> None:
        """Start without a problem.

        Args:
            log: takes a line, for example a logger's warning.
            now: seconds of a clock that never jumps.
        """
        self._log = log
        self._now = now
        self._lock = threading.Lock()
        self._newest: tuple[str, float] = ("", float("-inf"))
        self._logged: OrderedDict[str, float] = OrderedDict()
        self._lines: deque[float] = deque(maxlen=LINES_PER_PERIOD)

    def note(self, text: str) -> None:
        """Note a fault; texts that differ only in numbers are of one kind."""
        with self._lock:
            now = self._now()
            self._newest = (text, now)
            due = self._due(re.sub(r"\d+", "#", text), now)
        if due:
            self._log(text)

    def newest(self) -> tuple[str, float]:
        """Return the newest fault, "" for none, and its age in seconds."""
        with self._lock:
            text, when = self._newest
            return text, self._now() - when

    def _due(self, kind: str, now: float) -> bool:
        if now - self._logged.get(kind, float("-inf")) < PERIOD_S:
            return False
        if len(self._lines) == LINES_PER_PERIOD and now - self._lines[0] < PERIOD_S:
            return False
        self._lines.append(now)
        self._logged[kind] = now
        self._logged.move_to_end(kind)
        while len(self._logged) > KINDS_KEPT:
            self._logged.popitem(last=False)
        return True
