"""The state of all parts at one moment, gathered for diagnostics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lsm_core.mapping import ScaleEstimate, ScaleState
from lsm_perception.accounting import Counts
from lsm_perception.pipeline import PairCounts
from lsm_perception.statistics_reply import device_mib, resident_mib
from lsm_perception.time_watch import ClockState

if TYPE_CHECKING:
    from lsm_perception.camera_context import CameraContext
    from lsm_perception.camera_stream import CameraStream
    from lsm_perception.runtime import Runtime


@dataclass(frozen=True)
class CameraHealth:
    """One camera.

    Attributes:
        camera: its name, "" for the only one.
        topic: of its images, "" while the node does not listen.
        images: received on it since activation.
        image_age_s: since the newest image came, inf for none.
        stamp_offset_s: stamp of the newest image less the node's clock when it came.
        publishers: of the topic.
        lost: images sent that never reached the callback.
        calibration: "calibrated", "image-only: why" or "refused: why".
        scale: now, None for the second camera of a rig.
        scale_reason: why there are no metres, "" where there are or none are wanted.
        ages_s: since the newest message of each other input, by its name; inf for none.
        topics: of each other input, by its name.
    """

    camera: str
    topic: str
    images: int
    image_age_s: float
    stamp_offset_s: float
    publishers: int
    lost: int
    calibration: str
    scale: ScaleEstimate | None
    scale_reason: str
    ages_s: Mapping[str, float] = field(default_factory=dict)
    topics: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """What diagnostics report, read at one moment.

    Attributes:
        state: lifecycle state.
        backend, device: of the model.
        memory_mib, device_memory_mib: of the process, and held on the device (0 on a CPU).
        counts: of images.
        pairs: of keyframes and pairs.
        waiting: images in line.
        worker_alive: whether the inference thread runs.
        output_age_s: since products were last published, inf for never.
        cameras: each camera.
        silent: a line per silent topic.
        clock: what is wrong with the node's clock, "" for nothing.
        clock_state: what drives it.
        incompatible: a line per topic with peers whose QoS does not fit.
        events: what the middleware reported, counts by name.
        last_problem, problem_age_s: the newest complaint, "" for none, and its age.
        degraded: what the node does without since memory ran out, "" when it never did.
        device_fault: why the device will not work any more, "" when it does.
        out_of_memory: how often memory ran out.
    """

    state: str
    backend: str
    device: str
    memory_mib: float
    device_memory_mib: float
    counts: Counts
    pairs: PairCounts
    waiting: int
    worker_alive: bool
    output_age_s: float
    cameras: tuple[CameraHealth, ...]
    silent: Mapping[str, str] = field(default_factory=dict)
    clock: str = ""
    clock_state: ClockState = ClockState.SYSTEM
    incompatible: tuple[str, ...] = ()
    events: Mapping[str, int] = field(default_factory=dict)
    last_problem: str = ""
    problem_age_s: float = float("inf")
    degraded: str = ""
    device_fault: str = ""
    out_of_memory: int = 0


def collect_health(runtime: Runtime, state: str) -> Health:
    """Return the health of a runtime; silent topics and losses are logged where that is due."""
    text, age_s = runtime.problems.newest()
    found = runtime.inputs.look(runtime)
    contexts = list(runtime.cameras.values())
    cameras = tuple(camera_health(runtime, context, stream) for context in contexts for stream in context.streams)
    for camera in cameras:
        if camera.scale_reason and camera.image_age_s < runtime.parameters.input.no_data_s:
            runtime.inputs.report_missing_metres(camera.camera, camera.images, camera.scale_reason)
    return Health(
        state=state,
        backend=runtime.backend.name,
        device=str(runtime.backend.device),
        memory_mib=resident_mib(),
        device_memory_mib=device_mib(runtime.backend.device),
        counts=runtime.account.counts(),
        pairs=sum_of([context.pipeline.counts() for context in contexts]),
        waiting=runtime.worker.waiting,
        worker_alive=runtime.worker.alive,
        output_age_s=time.monotonic() - runtime.last_output_s,
        cameras=cameras,
        silent=found.silent,
        clock=found.clock,
        clock_state=runtime.clock.state,
        incompatible=tuple(runtime.events.standing()),
        events=runtime.events.counts(),
        last_problem=text,
        problem_age_s=age_s,
        degraded=runtime.device.degraded,
        device_fault=runtime.device.fault,
        out_of_memory=runtime.device.out_of_memory,
    )


def sum_of(parts: list[PairCounts]) -> PairCounts:
    """Return the sum over cameras."""
    rejected: dict[str, int] = {}
    for part in parts:
        for reason, count in part.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + count
    return PairCounts(
        sum(p.keyframes for p in parts), sum(p.pairs for p in parts), sum(p.accepted for p in parts), rejected
    )


def camera_health(runtime: Runtime, context: CameraContext, stream: CameraStream) -> CameraHealth:
    """Return the health of one camera; the second of a rig shares the map and the scale of the first."""
    listeners, now = list(stream.listeners), time.monotonic()
    image = next((heard for heard in listeners if heard.name == "image"), None)
    scale = context.mapper.scale if stream is context.stream else None
    return CameraHealth(
        camera=stream.camera,
        topic="" if image is None else image.topic,
        images=0 if image is None else image.received,
        image_age_s=float("inf") if image is None else now - image.last_s,
        stamp_offset_s=stream.stamp_offset_s,
        publishers=0 if image is None else len(runtime.graph.publishers(image.topic)),
        lost=0 if image is None else image.lost,
        calibration=stream.calibration.state,
        scale=scale,
        scale_reason="" if scale is None else scale_reason(runtime, scale),
        ages_s={heard.name: now - heard.last_s for heard in listeners if heard is not image},
        topics={heard.name: heard.topic for heard in listeners if heard is not image},
    )


def scale_reason(runtime: Runtime, scale: ScaleEstimate) -> str:
    """Return why there are no metres, as far as the sources know."""
    source = runtime.parameters.scale.source
    if scale.state is ScaleState.METRIC or source == "none":
        return ""
    if source in ("auto", "odometry") and runtime.odometry.last_reason:
        return f"no odometry: {runtime.odometry.last_reason}"
    return ""
