"""Watches for silence on input topics: one throttled log line with the cause, and one when data come again."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lsm_perception.graph import Graph
from lsm_perception.listener import Listener
from lsm_perception.silence import Listened, why_silent
from lsm_perception.symptoms import Symptom, see

REPEAT_S = 60.0
SILENT = {
    "image": Symptom.NO_IMAGES,
    "camera_info": Symptom.CAMERA_INFO,
    "depth": Symptom.NO_METRES,
    "odom": Symptom.NO_METRES,
    "mask": Symptom.MASKS_AND_DEPTH,
}


@dataclass(frozen=True)
class Watched:
    """A topic to watch.

    Attributes:
        listener: of the topic.
        optional: silence is reported only where somebody publishes the topic.
        consequence: what the node does without the data, "" where it can do nothing.
        repeat_s: time after which the same line is logged again.
        since_s: silence before this time does not count (monotonic): the clock stood still.
    """

    listener: Listener
    optional: bool = False
    consequence: str = ""
    repeat_s: float = REPEAT_S
    since_s: float = float("-inf")


@dataclass
class _Silence:
    """A silence that was reported: the last line about it without its numbers, and when that was logged."""

    kind: str = ""
    logged_s: float = float("-inf")


class Watchdog:
    """Looks at the inputs now and then; called from one thread."""

    def __init__(
        self,
        graph: Graph,
        warn: Callable[[str], object],
        inform: Callable[[str], object],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._graph = graph
        self._warn = warn
        self._inform = inform
        self._now = now
        self._silences: dict[str, _Silence] = {}

    def look(self, watched: Iterable[Watched], no_data_s: float) -> dict[str, str]:
        """Return a line per silent topic, by topic; log what is new, what lasts and what is over."""
        lines: dict[str, str] = {}
        for entry in watched:
            line = self._line(entry, no_data_s)
            if line:
                lines[entry.listener.topic] = line
                self.report(entry.listener.topic, line, entry.repeat_s)
            elif self._now() - entry.listener.last_s <= no_data_s:
                self._end(entry.listener)
        return lines

    def report(self, topic: str, line: str, repeat_s: float = REPEAT_S, kind: str = "") -> None:
        """Log a line about a topic unless one of its kind (by default: but for numbers) was within `repeat_s`."""
        now = self._now()
        known = self._silences.setdefault(topic, _Silence())
        kind = kind or re.sub(r"\d+", "#", line)
        if kind != known.kind or now - known.logged_s >= repeat_s:
            known.kind, known.logged_s = kind, now
            self._warn(f"{line[0].upper()}{line[1:]}")

    def forget(self) -> None:
        """Begin anew: the node listens to nothing now."""
        self._silences.clear()

    def _line(self, entry: Watched, no_data_s: float) -> str:
        listener = entry.listener
        age_s = self._now() - max(listener.last_s, listener.started_s, entry.since_s)
        if age_s <= no_data_s:
            return ""
        if entry.optional and not self._graph.publishers(listener.topic):
            return ""
        heard = Listened(listener.name, listener.topic, listener.kind, listener.qos)
        cause = why_silent(heard, self._graph)
        consequence = f" ({entry.consequence})" if entry.consequence else ""
        line = f"no {listener.name} on {listener.topic} for {age_s:.0f} s{consequence}: {cause}"
        return see(line, SILENT[listener.name])

    def _end(self, listener: Listener) -> None:
        known = self._silences.pop(listener.topic, None)
        if known is not None:
            self._inform(f"There is {listener.name} on {listener.topic} now.")
