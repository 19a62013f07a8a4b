"""/diagnostics: what goes in, what comes out, what is wrong; once a second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from lsm_core.mapping import ScaleEstimate, ScaleState
from lsm_perception.accounting import Counts
from lsm_perception.pipeline import PairCounts

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class Health:
    """What diagnostics report, read at one moment.

    Attributes:
        state: lifecycle state.
        backend, device: of the model.
        counts: of images.
        pairs: of keyframes and pairs.
        scale: the scale now.
        waiting: images in line.
        worker_alive: whether the inference thread runs.
        silent: per image topic seconds since the last image (or the start), and its publishers.
        last_problem: the newest complaint, "" for none, and its age in seconds.
        transport_lost: images the middleware lost.
        degraded: what the node does without since memory ran out, "" when it never did.
        device_fault: why the device will not work any more, "" when it does.
        out_of_memory: how often memory ran out.
    """

    state: str
    backend: str
    device: str
    counts: Counts
    pairs: PairCounts
    scale: ScaleEstimate
    waiting: int
    worker_alive: bool
    silent: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    last_problem: str = ""
    problem_age_s: float = float("inf")
    transport_lost: int = 0
    degraded: str = ""
    device_fault: str = ""
    out_of_memory: int = 0


class DiagnosticsMaker:
    """Makes the messages; keeps the counters of the last one for the rates."""

    def __init__(self, name: str, no_data_s: float) -> None:
        self._name = name
        self._no_data_s = no_data_s
        self._before: tuple[float, int, int] | None = None

    def message(self, health: Health, stamp: Time) -> DiagnosticArray:
        """Return the diagnostics of this moment."""
        statuses = [self._input(health), self._model(health), self._scale(health)]
        return DiagnosticArray(header=Header(stamp=stamp), status=statuses)

    def _input(self, health: Health) -> DiagnosticStatus:
        level, text = OK, "images arrive"
        for topic, (age_s, publishers) in health.silent.items():
            if age_s > self._no_data_s:
                found = f"{publishers} publisher(s); {health.last_problem or 'check their QoS and the network'}"
                cause = found if publishers else "nobody publishes it"
                level, text = WARN, f"no image on {topic} for {age_s:.0f} s: {cause}"
        if level == OK and health.problem_age_s < self._no_data_s:
            level, text = WARN, health.last_problem
        rate_in, rate_used = self._rates(health)
        values = {
            "delivered": health.counts.delivered,
            "used": health.counts.used,
            "pending": health.counts.pending,
            "transport_lost": health.transport_lost,
            "rate_in_hz": f"{rate_in:.2f}",
            "rate_used_hz": f"{rate_used:.2f}",
            "last_problem": health.last_problem,
        }
        values |= {f"dropped.{reason}": count for reason, count in health.counts.dropped.items()}
        return self._status("input", level, text, values)

    def _model(self, health: Health) -> DiagnosticStatus:
        level, text = OK, health.state
        if health.degraded:
            level, text = WARN, f"DEGRADED: {health.degraded}"
        if health.device_fault:
            level, text = ERROR, f"the device is lost: {health.device_fault}"
        elif health.state == "active" and not health.worker_alive:
            level, text = ERROR, "the inference thread is gone: deactivate and activate the node"
        values = {
            "state": health.state,
            "backend": health.backend,
            "device": health.device,
            "waiting": health.waiting,
            "out_of_memory": health.out_of_memory,
            "keyframes": health.pairs.keyframes,
            "pairs": health.pairs.pairs,
            "pairs_accepted": health.pairs.accepted,
        }
        values |= {f"rejected.{reason}": count for reason, count in health.pairs.rejected.items()}
        return self._status("model", level, text, values)

    def _scale(self, health: Health) -> DiagnosticStatus:
        scale = health.scale
        level = WARN if scale.state is ScaleState.DEGRADED else OK
        values = {
            "state": scale.state.value,
            "source": scale.source.value,
            "metres_per_unit": scale.metres_per_unit,
            "spread": scale.spread,
            "epoch": scale.epoch,
            "samples": scale.samples,
        }
        return self._status("scale", level, f"scale {scale.state.value}", values)

    def _rates(self, health: Health) -> tuple[float, float]:
        now = time.monotonic()
        before, self._before = self._before, (now, health.counts.delivered, health.counts.used)
        if before is None or now <= before[0]:
            return 0.0, 0.0
        elapsed = now - before[0]
        rates = (health.counts.delivered - before[1]) / elapsed, (health.counts.used - before[2]) / elapsed
        return max(0.0, rates[0]), max(0.0, rates[1])

    def _status(self, part: str, level: bytes, text: str, values: Mapping[str, object]) -> DiagnosticStatus:
        pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return DiagnosticStatus(
            level=level, name=f"{self._name}: {part}", message=text, hardware_id="", values=pairs
        )
