"""Work that goes on in a thread of its own beside the caller's, for libraries that give up the interpreter lock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Beside(Generic[T]):
    """One call in one thread, started at once; `result` waits for it."""

    def __init__(self, name: str, call: Callable[[], T]) -> None:
        self._call = call
        self._outcome: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def result(self) -> T:
        """Wait for the call to end and return what it returned, or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._outcome[0]

    def _run(self) -> None:
        try:
            self._outcome.append(self._call())
        except BaseException as error:  # it belongs to whoever asks for the result
            self._error = error
