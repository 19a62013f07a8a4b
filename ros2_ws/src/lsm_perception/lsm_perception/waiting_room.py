"""How many requests may hold one of the node's threads at a time; the next one is refused at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lsm_perception_msgs.msg import ResultCode

from lsm_perception.replies import ServiceError


class WaitingRoom:
    """Places for requests that wait or work; images, tf and timers keep the other threads."""

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._places = places
        self._taken = 0

    def set_places(self, places: int) -> None:
        """Take a new limit; those inside stay."""
        with self._lock:
            self._places = places

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            ServiceError: all are taken.
        """
        with self._lock:
            if self._taken >= self._places:
                raise ServiceError(ResultCode.BUSY, f"{self._taken} requests wait already. Ask again later.")
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1
