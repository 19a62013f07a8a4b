"""Do the stamps of a camera's images run forward? One that leaps is doubted until the next one bears it out."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

FORWARD_NS = 10_000_000_000  # a longer leap ahead is doubted; a camera that paused loses one image by it
BEFORE_CLOCK_NS = 10_000_000_000  # after a jump of the clock the first image may be so much older
AFTER_CLOCK_NS = 1_000_000_000  # and so much newer than the clock


class StampVerdict(Enum):
    """What a stamp is."""

    GOOD = auto()
    BAD = auto()  # zero, repeated, out of order, or a leap that no other image has borne out yet
    JUMPED_BACK = auto()  # time is now earlier than it was
    JUMPED_AHEAD = auto()  # time is now much later than it was


class StampGuard:
    """Judges stamps one by one. Single-threaded.

    A stamp between the newest one and 10 s after it is good; one before it is bad, its image came out of order. A
    stamp older by `back_s`, or newer by more than 10 s, may be a wrong one or the first after a jump of time: it is
    bad, and when the next stamp follows on it, time has jumped. So one wrong stamp costs one image, and a bag that
    starts again costs one image and one reset.
    """

    def __init__(self, back_s: float) -> None:
        self.back_s = back_s
        self._newest_ns: int | None = None
        self._doubted_ns: int | None = None
        self._clock_ns: Callable[[], int] | None = None

    def judge(self, stamp_ns: int) -> StampVerdict:
        """Judge the next stamp, in nanoseconds."""
        if stamp_ns <= 0:
            return StampVerdict.BAD
        if self._fits(stamp_ns):
            return self._take(stamp_ns, StampVerdict.GOOD)
        newest_ns = self._newest_ns
        if newest_ns is not None and 0 <= newest_ns - stamp_ns < self.back_s * 1e9:
            return StampVerdict.BAD
        if self._doubted_ns is None or not 0 < stamp_ns - self._doubted_ns <= FORWARD_NS:
            self._doubted_ns = stamp_ns
            return StampVerdict.BAD
        if newest_ns is None:
            return self._take(stamp_ns, StampVerdict.GOOD)
        back = stamp_ns < newest_ns
        return self._take(stamp_ns, StampVerdict.JUMPED_BACK if back else StampVerdict.JUMPED_AHEAD)

    def reset(self, clock_ns: Callable[[], int] | None = None) -> None:
        """Forget all stamps.

        Args:
            clock_ns: the clock that has jumped; the first stamp must fit it, so that images from before the jump
                that are still on their way are not taken for first ones. None takes any first stamp.
        """
        self._newest_ns = self._doubted_ns = None
        self._clock_ns = clock_ns

    def _fits(self, stamp_ns: int) -> bool:
        if self._newest_ns is not None:
            return 0 < stamp_ns - self._newest_ns <= FORWARD_NS
        if self._clock_ns is None:
            return True
        ahead_ns = stamp_ns - self._clock_ns()
        return -BEFORE_CLOCK_NS <= ahead_ns <= AFTER_CLOCK_NS

    def _take(self, stamp_ns: int, verdict: StampVerdict) -> StampVerdict:
        self._newest_ns, self._doubted_ns, self._clock_ns = stamp_ns, None, None
        return verdict
