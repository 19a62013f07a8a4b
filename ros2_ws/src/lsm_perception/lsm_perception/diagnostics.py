"""/diagnostics: what goes in, what comes out, what is wrong; levels by REP-107."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from std_msgs.msg import Header

from lsm_core.mapping import ScaleEstimate, ScaleState
from lsm_perception.health import CameraHealth, Health
from lsm_perception.symptoms import Symptom, see

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
ACTIVE = "active"
PROBLEM_SHOWN_S = 5.0


class DiagnosticsMaker:
    """Makes the messages; keeps the counters of the last one for the rates."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._before: dict[str, tuple[float, int]] = {}

    def message(self, health: Health, stamp: Time) -> DiagnosticArray:
        """Return the diagnostics of this moment: input, model, qos, and per camera camera and scale."""
        statuses = [self._input(health), self._model(health), self._qos(health)]
        for camera in health.cameras:
            statuses.append(self._camera(camera, health))
            if camera.scale is not None:
                statuses.append(self._scale(camera, camera.scale))
        return DiagnosticArray(header=Header(stamp=stamp), status=statuses)

    def _input(self, health: Health) -> DiagnosticStatus:
        """Report what became of images; the message is the first complaint there is."""
        level, text = OK, "images arrive"
        complaints = [health.clock, *health.silent.values(), *health.incompatible]
        if health.problem_age_s < PROBLEM_SHOWN_S:
            complaints.append(health.last_problem)
        if health.state != ACTIVE:
            text = f"not listening: the node is {health.state}; activate it"
        elif any(complaints):
            level, text = WARN, next(c for c in complaints if c)
        elif not any(camera.images for camera in health.cameras):
            text = "no image yet"
        values: dict[str, object] = {
            "delivered": health.counts.delivered,
            "used": health.counts.used,
            "pending": health.counts.pending,
            "transport_lost": health.counts.transport_lost,
            "rate_in_hz": self._rate("in", health.counts.delivered),
            "rate_used_hz": self._rate("used", health.counts.used),
            "last_problem": health.last_problem,
            "last_problem_age_s": seconds(health.problem_age_s),
            "clock": health.clock_state.value,
        }
        values |= {f"dropped.{reason}": count for reason, count in health.counts.dropped.items()}
        values |= {f"silent.{topic}": line for topic, line in health.silent.items()}
        return self._status("input", level, text, values)

    def _model(self, health: Health) -> DiagnosticStatus:
        level, text = OK, health.state
        if health.degraded:
            level, text = WARN, see(f"DEGRADED: {health.degraded}", Symptom.OUT_OF_MEMORY)
        if health.device_fault:
            level, text = ERROR, see(f"the device is lost: {health.device_fault}", Symptom.DEVICE_LOST)
        elif health.state == ACTIVE and not health.worker_alive:
            text = see("the inference thread is gone: deactivate and activate the node", Symptom.INTERNAL_ERRORS)
            level = ERROR
        values: dict[str, object] = {
            "state": health.state,
            "backend": health.backend,
            "device": health.device,
            "memory_mib": f"{health.memory_mib:.0f}",
            "device_memory_mib": f"{health.device_memory_mib:.0f}",
            "waiting": health.waiting,
            "out_of_memory": health.out_of_memory,
            "output_age_s": seconds(health.output_age_s),
            "keyframes": health.pairs.keyframes,
            "pairs": health.pairs.pairs,
            "pairs_accepted": health.pairs.accepted,
        }
        values |= {f"rejected.{reason}": count for reason, count in health.pairs.rejected.items()}
        return self._status("model", level, text, values)

    def _qos(self, health: Health) -> DiagnosticStatus:
        level, text = OK, "compatible"
        if health.incompatible:
            level, text = WARN, see("; ".join(health.incompatible), Symptom.QOS)
        return self._status("qos", level, text, health.events)

    def _camera(self, camera: CameraHealth, health: Health) -> DiagnosticStatus:
        level, text = OK, "images arrive" if camera.images else "no image yet"
        if health.state != ACTIVE:
            text = f"the node is {health.state}"
        elif camera.topic in health.silent:
            level, text = WARN, health.silent[camera.topic]
        elif camera.images and abs(camera.stamp_offset_s) > 1:
            text = f"images arrive; {offset_text(camera.stamp_offset_s)}"
        values: dict[str, object] = {
            "topic": camera.topic,
            "publishers": camera.publishers,
            "images": camera.images,
            "rate_hz": self._rate(f"camera {camera.camera}", camera.images),
            "image_age_s": seconds(camera.image_age_s),
            "stamp_offset_s": f"{camera.stamp_offset_s:.3f}" if camera.images else "",
            "transport_lost": camera.lost,
            "calibration": camera.calibration,
        }
        values |= {f"{name}_age_s": seconds(age_s) for name, age_s in camera.ages_s.items()}
        values |= {f"{name}_topic": topic for name, topic in camera.topics.items()}
        return self._status(named("camera", camera), level, text, values)

    def _scale(self, camera: CameraHealth, scale: ScaleEstimate) -> DiagnosticStatus:
        level = WARN if scale.state is ScaleState.DEGRADED else OK
        text = f"scale {scale.state.value}"
        if camera.scale_reason:
            text = f"{text}: {camera.scale_reason}"
        if level != OK or camera.scale_reason:
            text = see(text, Symptom.NO_METRES)
        values = {
            "state": scale.state.value,
            "source": scale.source.value,
            "metres_per_unit": scale.metres_per_unit,
            "spread": scale.spread,
            "epoch": scale.epoch,
            "samples": scale.samples,
            "reason": camera.scale_reason,
        }
        return self._status(named("scale", camera), level, text, values)

    def _rate(self, name: str, count: int) -> str:
        """Return how fast a counter grew since the last message, Hz; empty the first time and after a reset."""
        now = time.monotonic()
        before, self._before[name] = self._before.get(name), (now, count)
        if before is None or now <= before[0] or count < before[1]:
            return ""
        return f"{(count - before[1]) / (now - before[0]):.2f}"

    def _status(self, part: str, level: bytes, text: str, values: Mapping[str, object]) -> DiagnosticStatus:
        pairs = [KeyValue(key=key, value=str(value)) for key, value in values.items()]
        return DiagnosticStatus(
            level=level, name=f"{self._name}: {part}", message=text, hardware_id="", values=pairs
        )


def named(part: str, camera: CameraHealth) -> str:
    """Return the name of a camera's status: `camera`, or `camera left` where there are several."""
    return f"{part} {camera.camera}" if camera.camera else part


def seconds(age_s: float) -> str:
    """Return an age for people; empty where there is none."""
    return f"{age_s:.1f}" if math.isfinite(age_s) else ""


def offset_text(offset_s: float) -> str:
    """Return how far the stamps of images are from the node's clock."""
    side = "behind" if offset_s < 0 else "ahead of"
    return f"their stamps are {abs(offset_s):.1f} s {side} this node's clock"
