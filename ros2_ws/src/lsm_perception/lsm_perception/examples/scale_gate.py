"""What `~/scale` allows a planner to use: metric results of the present epoch, and nothing from before it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from lsm_perception_msgs.msg import Scale

from lsm_perception.conversions import stamp_to_ns

STATES = {Scale.UNKNOWN: "UNKNOWN", Scale.METRIC: "METRIC", Scale.DEGRADED: "DEGRADED"}
ON_THE_WAY_S = 1.0  # topics have no common order: a result of before may come this long after a new epoch was said


class ScaleGate:
    """Hears `~/scale` and judges stamps. Metric results of an older epoch are void, also late ones."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._state: int | None = None
        self._epoch = 0
        self._began_ns = -1
        self._heard_s = -math.inf

    @property
    def metric(self) -> bool:
        """Whether the newest scale is METRIC."""
        return self._state == Scale.METRIC

    def hear(self, message: Scale) -> bool:
        """Take a new scale.

        Returns:
            Whether what was learned from earlier metric results is void: the epoch is another one.
        """
        epoch = int(message.epoch)
        # Before the first scale of all the epoch is 0, and there is nothing that could be void.
        void = self._epoch not in (0, epoch)
        if void:
            self._began_ns, self._heard_s = stamp_to_ns(message.header.stamp), self._now()
        self._state, self._epoch = int(message.state), epoch
        return void

    def complaint(self, stamp_ns: int) -> str | None:
        """Return why a metric result of an image with this stamp must not be used now, None when it may be."""
        if self._state is None:
            return "nothing was heard on ~/scale yet"
        if not self.metric:
            return f"the scale is {STATES.get(self._state, self._state)}"
        # Not for ever: stamps are smaller again after time has jumped back (a bag that starts again).
        if stamp_ns <= self._began_ns and self._now() - self._heard_s < ON_THE_WAY_S:
            return f"it is of before scale epoch {self._epoch}"
        return None
