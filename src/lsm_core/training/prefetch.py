"""Make what each step needs ahead of time, in one background thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """Make batches ahead in one thread.

    Args:
        make: step -> batch.
        first_step: the first step asked for.
        depth: batches kept ready.
    """

    def __init__(self, make: Callable[[int], Item], first_step: int, depth: int = 2) -> None:
        self._make = make
        self._queue: queue.Queue[Item | BaseException] = queue.Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, args=(first_step,), daemon=True)
        self._thread.start()

    def next(self) -> Item:
        """Return the next step's batch; re-raise what the thread died of."""
        item = self._queue.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=0.1)
            except queue.Empty:
                continue

    def _work(self, step: int) -> None:
        while not self._stop.is_set():
            item: Item | BaseException
            try:
                item = self._make(step)
            except Exception as error:
                item = error
            self._queue.put(item)
            if isinstance(item, BaseException):
                return
            step += 1
