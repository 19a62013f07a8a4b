"""What is known of one frame: its parent and its place there, over time."""

from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass, field
from operator import attrgetter

from tf2_ros.exceptions import ExtrapolationException
from tf2_ros.rigid import Rigid, interpolate

_stamp_of = attrgetter("stamp_ns")


@dataclass(frozen=True)
class Sample:
    """Where a frame was at one time."""

    stamp_ns: int
    parent: str
    pose: Rigid  # of the frame in its parent


@dataclass
class Link:
    """The samples of one frame, oldest first; a static frame has exactly one.

    Attributes:
        frame: The frame's name, for messages.
        static: The one sample holds at all times.
        authority: Who sent the newest sample.
        samples: Ordered by stamp, no two alike.
    """

    frame: str
    static: bool
    authority: str = ""
    samples: list[Sample] = field(default_factory=list)

    def insert(self, sample: Sample, cache_ns: int) -> bool:
        """Add a sample and forget what is older than the cache; False when it is too old itself."""
        if self.static:
            self.samples = [sample]
            return True
        if self.samples and sample.stamp_ns < self.samples[-1].stamp_ns - cache_ns:
            return False
        index = bisect_left(self.samples, sample.stamp_ns, key=_stamp_of)
        if index < len(self.samples) and self.samples[index].stamp_ns == sample.stamp_ns:
            self.samples[index] = sample
        else:
            insort(self.samples, sample, key=_stamp_of)
        oldest = self.samples[-1].stamp_ns - cache_ns
        del self.samples[: bisect_left(self.samples, oldest, key=_stamp_of)]
        return True

    @property
    def latest_ns(self) -> int | None:
        """Stamp of the newest sample; None for a static frame, which is valid at any time."""
        return None if self.static else self.samples[-1].stamp_ns

    def at(self, time_ns: int) -> Sample:
        """Return the place at a time, interpolated between the two samples around it.

        Raises:
            ExtrapolationException: The time is outside the samples.
        """
        if self.static:
            return self.samples[0]
        after = bisect_right(self.samples, time_ns, key=_stamp_of)
        if after > 0 and self.samples[after - 1].stamp_ns == time_ns:
            return self.samples[after - 1]
        if after == 0 or after == len(self.samples):
            raise ExtrapolationException(self._describe(time_ns, past=after == 0))
        older, newer = self.samples[after - 1], self.samples[after]
        if older.parent != newer.parent:
            # Between two parents there is nothing to interpolate; the older one still holds.
            return older
        fraction = (time_ns - older.stamp_ns) / (newer.stamp_ns - older.stamp_ns)
        return Sample(time_ns, older.parent, interpolate(older.pose, newer.pose, fraction))

    def _describe(self, time_ns: int, past: bool) -> str:
        """Say which time was asked for and which are there."""
        side, word = ("past", "earliest") if past else ("future", "latest")
        known = self.samples[0 if past else -1].stamp_ns
        return (
            f"Lookup would require extrapolation into the {side}.  Requested time {time_ns / 1e9:.9f} but the "
            f"{word} data is at time {known / 1e9:.9f}, when looking up frame [{self.frame}]"
        )
