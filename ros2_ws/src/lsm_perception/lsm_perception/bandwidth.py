"""A cap on bytes per second: a bucket that fills at the cap and holds at most one second of it."""

from __future__ import annotations

import time
from collections.abc import Callable


class RateCap:
    """Decides whether a message of some size may be sent now."""

    def __init__(self, bytes_per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._rate = bytes_per_s
        self._level = bytes_per_s
        self.refused = 0

    def set_rate(self, bytes_per_s: float) -> None:
        """Change the cap; 0 lets everything pass."""
        self._rate = bytes_per_s
        self._level = min(self._level, bytes_per_s)

    def allow(self, size: int) -> bool:
        """Take `size` bytes out of the bucket; a message larger than it passes when it is full."""
        if self._rate <= 0:
            return True
        now = self._clock()
        self._level = min(self._rate, self._level + (now - self._last) * self._rate)
        self._last = now
        if size > self._level and self._level < self._rate:
            self.refused += 1
            return False
        self._level -= size
        return True
