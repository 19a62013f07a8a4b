"""Notices when nothing usable has come from a camera for a while: a lens cap, darkness, a hung driver."""

from __future__ import annotations

from collections import Counter

from lsm_perception.accounting import Drop

UNUSABLE = frozenset({Drop.BLANK, Drop.SATURATED, Drop.FROZEN, Drop.TORN, Drop.BLURRED})


class ImageWatch:
    """Follows the verdicts on one camera's images, in the images' own time. Not thread-safe."""

    def __init__(self, camera: str) -> None:
        """Start with nothing seen.

        Args:
            camera: its name, for the words.
        """
        self._whose = f" of camera '{camera}'" if camera else ""
        self._since_ns: int | None = None
        self._reasons: Counter[str] = Counter()
        self._warned = False

    def unusable(self, reason: str, stamp_ns: int, limit_s: float) -> str:
        """Note an image that the frame checks refused.

        Args:
            reason: one of UNUSABLE.
            stamp_ns: of the image.
            limit_s: how long nothing else may come before it is said, seconds of image time.

        Returns:
            The warning while nothing usable has come for longer than that, else "".
        """
        if self._since_ns is None or stamp_ns < self._since_ns:
            self.clear()
            self._since_ns = stamp_ns
        self._reasons[str(reason)] += 1
        span_s = (stamp_ns - self._since_ns) * 1e-9
        if span_s < limit_s:
            return ""
        self._warned = True
        counts = ", ".join(f"{count} {reason}" for reason, count in self._reasons.most_common())
        return f"No usable image{self._whose} for {span_s:.0f} s: {counts}. Fix: look at lens, light and driver."

    def usable(self) -> str:
        """Note a good image; return a line that says so when there was a warning, else ""."""
        line = f"Images{self._whose} are usable again." if self._warned else ""
        self.clear()
        return line

    def clear(self) -> None:
        """Forget all."""
        self._since_ns, self._warned = None, False
        self._reasons.clear()
