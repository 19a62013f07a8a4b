"""~/stats: counters and timings as one reply."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from lsm_perception_msgs.msg import DropCount, StageTiming
from lsm_perception_msgs.srv import Stats

from lsm_core.backends.base import Backend
from lsm_perception.accounting import Account
from lsm_perception.pipeline import Pipeline
from lsm_perception.timings import StageQuantiles, Timings
from lsm_perception.topic_events import TopicEvents

MIB = 1024.0 * 1024.0


class StatisticsReply:
    """Fills replies from the counters; `reset` sets them to zero after reading."""

    def __init__(
        self,
        account: Account,
        pipelines: list[Pipeline],
        timings: Timings,
        backend: Backend,
        events: TopicEvents,
    ) -> None:
        self._account = account
        self._pipelines = pipelines
        self._timings = timings
        self._backend = backend
        self._events = events
        self._since = time.monotonic()

    def work(self, request: Stats.Request, response: Stats.Response) -> None:
        """Fill the response."""
        counts = self._account.counts()
        pairs = [pipeline.counts() for pipeline in self._pipelines]
        rejected: dict[str, int] = {}
        for part in pairs:
            for reason, count in part.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + count
        response.duration_s = time.monotonic() - self._since
        response.delivered, response.used = counts.delivered, counts.used
        response.dropped = [DropCount(reason=r, count=c) for r, c in counts.dropped.items()]
        response.transport_lost = counts.transport_lost
        response.message = " ".join(self._events.standing())
        response.keyframes = sum(p.keyframes for p in pairs)
        response.pairs = sum(p.pairs for p in pairs)
        response.pairs_accepted = sum(p.accepted for p in pairs)
        response.pairs_rejected = [DropCount(reason=r, count=c) for r, c in sorted(rejected.items())]
        response.timings = [timing_message(q) for q in self._timings.quantiles()]
        response.backend, response.device = self._backend.name, str(self._backend.device)
        response.memory_mib = resident_mib()
        response.device_memory_mib = device_mib(self._backend.device)
        if request.reset:
            self._reset()

    def _reset(self) -> None:
        self._account.clear()
        self._timings.clear()
        for pipeline in self._pipelines:
            pipeline.clear_counts()
        self._events.clear()
        self._since = time.monotonic()


def timing_message(quantiles: StageQuantiles) -> StageTiming:
    """Return one stage's figures as a message."""
    return StageTiming(
        stage=quantiles.stage,
        count=quantiles.count,
        p50_ms=quantiles.p50_ms,
        p95_ms=quantiles.p95_ms,
        p99_ms=quantiles.p99_ms,
        max_ms=quantiles.max_ms,
    )


def resident_mib() -> float:
    """Return the memory of this process, MiB; 0 where /proc is missing."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * 4096 / MIB


def device_mib(device: torch.device) -> float:
    """Return the memory torch holds on a GPU, MiB; 0 on a CPU."""
    return torch.cuda.memory_allocated(device) / MIB if device.type == "cuda" else 0.0
