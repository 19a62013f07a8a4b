"""Watches how much of an input is lost on the way: one throttled log line with the share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from lsm_perception.listener import Listener
from lsm_perception.symptoms import Symptom, see

WINDOW_S = 30.0
SHARE = 0.2
AT_LEAST = 10


class LossWatch:
    """Looks at the counters of listeners once per window; called from one thread."""

    def __init__(self, warn: Callable[[str], object], now: Callable[[], float] = time.monotonic) -> None:
        self._warn = warn
        self._now = now
        self._before: dict[str, tuple[float, int, int]] = {}

    def look(self, listeners: Iterable[Listener]) -> None:
        """Log a line for each topic of which a large share was lost in the last window."""
        now = self._now()
        for heard in listeners:
            counted = (now, heard.received, heard.lost)
            before = self._before.get(heard.topic)
            if before is None or heard.received < before[1]:
                self._before[heard.topic] = counted
            elif now - before[0] >= WINDOW_S:
                self._before[heard.topic] = counted
                self._judge(heard, heard.received - before[1], heard.lost - before[2])

    def _judge(self, heard: Listener, received: int, lost: int) -> None:
        if lost >= AT_LEAST and lost > SHARE * (received + lost):
            share = 100 * lost / (received + lost)
            line = (
                f"{share:.0f} % of {heard.name} on {heard.topic} ({lost} of {received + lost}) were lost on the "
                "way or came faster than they are taken."
            )
            self._warn(see(line, Symptom.LOST_IMAGES))
