"""The second camera's newest images, undecoded, until a keyframe of the primary asks for the one of its time."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from dataclasses import dataclass

from lsm_perception.accounting import Drop, Ticket
from lsm_perception.products import Candidate
from lsm_perception.worker import Worker

KEPT = 8  # images held beside those that a candidate of the primary waits for
WANTED = 4  # stamps of the primary's last candidates
SILENT_S = 1.0  # a camera that has been silent for so long is not waited for


@dataclass(frozen=True)
class Waiting:
    """An image of the second camera and its account."""

    candidate: Candidate
    ticket: Ticket

    @property
    def stamp_ns(self) -> int:
        """The image's stamp."""
        return self.candidate.image.stamp_ns


@dataclass(frozen=True)
class Taken:
    """The second camera's answer to a stamp of the primary.

    Attributes:
        image: the nearest in time within the limit, None when there is none.
        offset_s: how far the nearest is from the stamp, NaN when none waits.
    """

    image: Waiting | None
    offset_s: float


class SecondImages:
    """Holds at most KEPT + WANTED images; every one that leaves unused is dropped with a reason.

    An image is `unpaired` when a later one took its place, `unsynchronised` when a keyframe of the primary found
    none of its time.
    """

    def __init__(self, max_sync_s: float, max_wait_s: float) -> None:
        self._max_sync_ns = int(max_sync_s * 1e9)
        self._max_wait_s = max_wait_s
        self._condition = threading.Condition()
        self._images: list[Waiting] = []  # in order of time
        self._wanted: deque[int] = deque(maxlen=WANTED)
        self._last_s = -math.inf  # when the newest came
        self._running = False

    def start(self) -> None:
        """Take images from now on."""
        with self._condition:
            self._running = True

    def stop(self) -> None:
        """Drop what waits, and what still comes."""
        with self._condition:
            self._running = False
            self._drop_all(Drop.INACTIVE)

    def reset(self) -> None:
        """Drop what waits."""
        with self._condition:
            self._drop_all(Drop.RESET)

    def submit(self, camera: str, payload: Candidate, ticket: Ticket, yields: bool = False) -> None:
        """Let an image wait; the oldest that no candidate of the primary needs leaves."""
        with self._condition:
            if not self._running:
                ticket.drop(Drop.INACTIVE)
                return
            self._last_s = time.monotonic()
            self._images.append(Waiting(payload, ticket))
            needed = {id(self._nearest(stamp_ns)) for stamp_ns in self._wanted}
            spare = [waiting for waiting in self._images if id(waiting) not in needed]
            for waiting in spare[: max(0, len(spare) - KEPT)]:
                self._images.remove(waiting)
                waiting.ticket.drop(Drop.UNPAIRED)
            self._condition.notify_all()

    def want(self, stamp_ns: int) -> None:
        """Keep the image nearest to a stamp until it is taken: a candidate of the primary waits for its turn."""
        with self._condition:
            self._wanted.append(stamp_ns)

    def take(self, stamp_ns: int) -> Taken:
        """Take the image nearest to a stamp; waits a bounded time for one that may still be on its way."""
        with self._condition:
            silent = time.monotonic() - self._last_s > SILENT_S
            if not silent:
                self._condition.wait_for(lambda: self._decided(stamp_ns), self._max_wait_s)
            nearest = self._nearest(stamp_ns)
            if stamp_ns in self._wanted:
                self._wanted.remove(stamp_ns)
            if nearest is None:
                return Taken(None, math.nan)
            offset_ns = nearest.stamp_ns - stamp_ns
            if abs(offset_ns) > self._max_sync_ns:
                self._drop_before(stamp_ns, Drop.UNSYNCHRONISED)
                return Taken(None, offset_ns * 1e-9)
            self._images.remove(nearest)
            self._drop_before(min(stamp_ns, nearest.stamp_ns), Drop.UNPAIRED)
            return Taken(nearest, offset_ns * 1e-9)

    def _decided(self, stamp_ns: int) -> bool:
        """Whether no image to come can be nearer (stamps grow)."""
        return not self._running or any(waiting.stamp_ns >= stamp_ns for waiting in self._images)

    def _nearest(self, stamp_ns: int) -> Waiting | None:
        return min(self._images, key=lambda waiting: abs(waiting.stamp_ns - stamp_ns), default=None)

    def _drop_before(self, stamp_ns: int, reason: Drop) -> None:
        for waiting in [w for w in self._images if w.stamp_ns < stamp_ns]:
            self._images.remove(waiting)
            waiting.ticket.drop(reason)

    def _drop_all(self, reason: Drop) -> None:
        for waiting in self._images:
            waiting.ticket.drop(reason)
        self._images.clear()
        self._wanted.clear()
        self._condition.notify_all()


class PrimaryQueue:
    """The worker as the primary's stream sees it: each candidate also reserves its partner of the second camera."""

    def __init__(self, worker: Worker[Candidate], second: SecondImages) -> None:
        self._worker = worker
        self._second = second

    def submit(self, camera: str, payload: Candidate, ticket: Ticket, yields: bool = False) -> None:
        """Put a candidate in line."""
        self._second.want(payload.image.stamp_ns)
        self._worker.submit(camera, payload, ticket, yields)
