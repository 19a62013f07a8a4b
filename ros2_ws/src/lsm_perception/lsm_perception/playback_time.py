"""When which moment of a recording is due: rate, pause, a fresh start."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class PlaybackTime:
    """Maps real time to the time of a recording; safe to call from several threads."""

    def __init__(
        self, rate: float = 1.0, paused: bool = False, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin at recording time 0.

        Args:
            rate: seconds of the recording per second.
            paused: stand still until `resume`.
            now_s: real time.
        """
        self._rate = rate
        self._paused = paused
        self._now_s = now_s
        self._condition = threading.Condition()
        self._recorded_ns, self._real_s = 0, now_s()  # a moment of both, from which the present one is reckoned

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused

    def start(self, recorded_ns: int) -> None:
        """Go to a moment of the recording; paused or not as before."""
        with self._condition:
            self._recorded_ns, self._real_s = recorded_ns, self._now_s()
            self._condition.notify_all()

    def pause(self) -> None:
        """Stand still."""
        with self._condition:
            self._recorded_ns, self._real_s = self.now_ns(), self._now_s()
            self._paused = True
            self._condition.notify_all()

    def resume(self) -> None:
        """Go on."""
        with self._condition:
            self._recorded_ns, self._real_s = self.now_ns(), self._now_s()
            self._paused = False
            self._condition.notify_all()

    def toggle(self) -> None:
        """Pause or resume."""
        if self._paused:
            self.resume()
        else:
            self.pause()

    def now_ns(self) -> int:
        """Return the moment of the recording that is now."""
        with self._condition:
            passed_s = 0.0 if self._paused else self._now_s() - self._real_s
            return self._recorded_ns + round(passed_s * self._rate * 1e9)

    def wait(self, recorded_ns: int, longest_s: float) -> bool:
        """Wait for a moment of the recording, at most so long in real time; whether it has come."""
        with self._condition:
            remaining_ns = recorded_ns - self.now_ns()
            if remaining_ns <= 0:
                return True
            remaining_s = longest_s if self._paused else remaining_ns * 1e-9 / self._rate
            self._condition.wait(min(remaining_s, longest_s))
            return self.now_ns() >= recorded_ns
