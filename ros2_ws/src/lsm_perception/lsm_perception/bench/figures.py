"""The figures of one run and of a case: what the client saw, what the node says, what it cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lsm_perception.bench.options import BenchCase

MODEL_STAGES = ("encode", "predict")


@dataclass(frozen=True)
class StageFigures:
    """Milliseconds of one stage in the node."""

    count: int
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class RunFigures:
    """One run.

    Attributes:
        seconds: images were sent for so long.
        sent: images.
        delivered, used, dropped: as the node accounts for them; delivered = used + sum of dropped.
        lost: sent and never given to a callback.
        pairs, accepted: pairs predicted, and poses that passed the gate.
        clouds: ~/points that reached the client.
        sent_hz, cloud_hz: images sent and clouds received per second.
        latency: stamp of the image to arrival of its cloud at the client, ms: p50, p95, p99.
        stages: the node's own timings by stage.
        outside_model_ms: median latency without the medians of encoding and predicting.
        overhead_ms: that without the time in line behind another image (the median wait less the median gate).
        node_cpu: processor time of the node over wall time; 1 is one core.
        client_cpu, other_cpu: the same for this client, and for everything else on the machine.
        rss_mib, peak_rss_mib: memory of the node, at the end and at most since it started.
    """

    seconds: float
    sent: int
    delivered: int
    used: int
    dropped: dict[str, int]
    lost: int
    pairs: int
    accepted: int
    clouds: int
    sent_hz: float
    cloud_hz: float
    latency: dict[str, float]
    stages: dict[str, StageFigures]
    outside_model_ms: float
    overhead_ms: float
    node_cpu: float
    client_cpu: float
    other_cpu: float
    rss_mib: float
    peak_rss_mib: float


@dataclass(frozen=True)
class CaseFigures:
    """All runs of a case; `kept` are the indices of those that the averages are of."""

    case: BenchCase
    runs: tuple[RunFigures, ...]
    kept: tuple[int, ...]
    load_before: float

    def mean(self, value: str) -> float:
        """Return the average of a field of the kept runs, NaN where one of them has none."""
        return float(np.mean([getattr(self.runs[i], value) for i in self.kept]))

    def mean_latency(self, quantile: str) -> float:
        """Return the average of "p50", "p95" or "p99" of the latency, ms."""
        return float(np.mean([self.runs[i].latency[quantile] for i in self.kept]))

    def mean_stage(self, stage: str) -> float:
        """Return the average median of a stage, ms; NaN for a stage that a run does not have."""
        runs = [self.runs[i].stages.get(stage) for i in self.kept]
        return float(np.mean([math.nan if found is None else found.p50 for found in runs]))

    def plain(self) -> dict[str, Any]:
        """Return everything for JSON."""
        scalars = ("sent_hz", "cloud_hz", "sent", "delivered", "used", "lost", "clouds", "outside_model_ms",
                   "overhead_ms", "node_cpu", "client_cpu", "other_cpu", "rss_mib", "peak_rss_mib")  # fmt: skip
        stages = sorted({stage for i in self.kept for stage in self.runs[i].stages})
        mean = {name: self.mean(name) for name in scalars}
        mean["dropped"] = float(np.mean([sum(self.runs[i].dropped.values()) for i in self.kept]))
        mean |= {f"latency_{q}_ms": self.mean_latency(q) for q in ("p50", "p95", "p99")}
        return {
            **asdict(self.case),
            "load_before": self.load_before,
            "kept_runs": list(self.kept),
            "mean": mean,
            "stage_p50_ms": {stage: self.mean_stage(stage) for stage in stages},
            "runs": [asdict(run) for run in self.runs],
        }


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99; NaN without values."""
    found = np.quantile(values, (0.5, 0.95, 0.99)) if len(values) else [math.nan] * 3
    return {name: float(value) for name, value in zip(("p50", "p95", "p99"), found, strict=True)}


def outside_model_ms(latency_p50: float, stages: dict[str, StageFigures]) -> float:
    """Return what of the median latency is not the model; NaN without a pair."""
    if any(stage not in stages for stage in MODEL_STAGES):
        return math.nan
    return latency_p50 - sum(stages[stage].p50 for stage in MODEL_STAGES)


def overhead_ms(outside_ms: float, stages: dict[str, StageFigures]) -> float:
    """Return what is neither the model nor waiting for it while another image has it; NaN without a pair."""
    if not all(stage in stages for stage in ("wait", "gate")):
        return math.nan
    return outside_ms - max(0.0, stages["wait"].p50 - stages["gate"].p50)


def kept_runs(runs: Sequence[RunFigures]) -> tuple[int, ...]:
    """Return the indices of the runs without the best and the worst median latency; all of fewer than three."""
    order = sorted(range(len(runs)), key=lambda i: (math.isnan(runs[i].latency["p50"]), runs[i].latency["p50"]))
    return tuple(sorted(order[1:-1] if len(order) >= 3 else order))
