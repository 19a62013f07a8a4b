"""How long each stage takes: quantiles over the newest measurements.

`transport` is image stamp to callback, `wait` callback to begin of work, `total` callback to published, `latency`
image stamp to published; the others are the steps of the work itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

KEPT = 1000
MAX_AGE_S = 60.0


@dataclass(frozen=True)
class StageQuantiles:
    """Milliseconds of one stage."""

    stage: str
    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Timings:
    """Thread-safe measurements by stage; keeps the newest thousand of each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, deque[float]] = {}
        self._counts: dict[str, int] = {}

    def add(self, stage: str, milliseconds: float) -> None:
        """Record one measurement."""
        with self._lock:
            self._values.setdefault(stage, deque(maxlen=KEPT)).append(milliseconds)
            self._counts[stage] = self._counts.get(stage, 0) + 1

    def add_age(self, stage: str, stamp_ns: int, now_ns: int) -> None:
        """Record how old a stamp is by the node's clock; one of another clock (a bag, a jump) is left out."""
        if 0 <= now_ns - stamp_ns < MAX_AGE_S * 1e9:
            self.add(stage, (now_ns - stamp_ns) / 1e6)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Record how long the block takes, also when it raises."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, (time.perf_counter() - started) * 1e3)

    def quantiles(self) -> list[StageQuantiles]:
        """Return p50, p95, p99 and the largest value per stage, in order of first use."""
        with self._lock:
            data = {stage: (self._counts[stage], np.asarray(values)) for stage, values in self._values.items()}
        out = []
        for stage, (count, values) in data.items():
            p50, p95, p99 = (float(q) for q in np.quantile(values, (0.5, 0.95, 0.99)))
            out.append(StageQuantiles(stage, count, p50, p95, p99, float(values.max())))
        return out

    def clear(self) -> None:
        """Forget all measurements."""
        with self._lock:
            self._values.clear()
            self._counts.clear()
