"""The state of all parts at one moment, gathered for diagnostics."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lsm_core.mapping import ScaleEstimate, ScaleState
from lsm_perception.accounting import Counts
from lsm_perception.graph import names_of
from lsm_perception.pipeline import PairCounts
from lsm_perception.statistics_reply import device_mib, resident_mib
from lsm_perception.time_watch import ClockState
from lsm_perception.watchdog import Watched

if TYPE_CHECKING:
    from lsm_perception.camera_context import CameraContext
    from lsm_perception.camera_stream import CameraStream
    from lsm_perception.runtime import Runtime

CLOCK = "/clock"
MISSED_AFTER = 50  # images without metres that are worth a line


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
    runtime.losses.look(heard for stream in streams_of(runtime) for heard in list(stream.listeners)[:1])
    contexts = list(runtime.cameras.values())
    cameras = tuple(camera_health(runtime, context, stream) for context in contexts for stream in context.streams)
    report_missing_metres(runtime, cameras)
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
        silent=runtime.watchdog.look(watched_topics(runtime), runtime.parameters.input.no_data_s),
        clock=clock_complaint(runtime),
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
    )


def report_missing_metres(runtime: Runtime, cameras: tuple[CameraHealth, ...]) -> None:
    """Log once per camera why there are no metres, when its images have come for a while."""
    for camera in cameras:
        images_come = camera.image_age_s < runtime.parameters.input.no_data_s
        if camera.scale_reason and images_come and camera.images >= MISSED_AFTER:
            name = f" from camera {camera.camera}" if camera.camera else ""
            line = f"no metres{name} yet: {camera.scale_reason}"
            runtime.watchdog.report(f"scale of {camera.topic}", line, float("inf"), "no metres")


def scale_reason(runtime: Runtime, scale: ScaleEstimate) -> str:
    """Return why there are no metres, as far as the sources know."""
    source = runtime.parameters.scale.source
    if scale.state is ScaleState.METRIC or source == "none":
        return ""
    if source in ("auto", "odometry") and runtime.odometry.last_reason:
        return f"no odometry: {runtime.odometry.last_reason}"
    return ""


def streams_of(runtime: Runtime) -> list[CameraStream]:
    """Return the streams of all cameras."""
    return [stream for context in runtime.cameras.values() for stream in context.streams]


def watched_topics(runtime: Runtime) -> Iterator[Watched]:
    """Yield the topics on which silence is worth a word: none while inactive or while time stands still."""
    if not runtime.active or runtime.clock.state is ClockState.STANDING:
        return
    since_s = runtime.clock.resumed_s
    source = runtime.parameters.scale.source
    soon_s = time.monotonic() - runtime.parameters.input.no_data_s
    for stream in streams_of(runtime):
        images_come = False
        for heard in list(stream.listeners):
            if heard.name == "image":
                images_come = heard.last_s > soon_s
                yield Watched(heard, since_s=since_s)
            elif heard.name == "camera_info":
                if images_come:
                    yield Watched(
                        heard, consequence="the focal length is estimated", repeat_s=float("inf"), since_s=since_s
                    )
            else:
                wanted = heard.name == "depth" and source == "depth"
                yield Watched(
                    heard, not wanted, "no metres from it" if heard.name == "depth" else "", since_s=since_s
                )
    if runtime.odometry_listener is not None:
        wanted = runtime.parameters.odometry.source == "topic"
        yield Watched(runtime.odometry_listener, not wanted, "no metres from it", since_s=since_s)


def clock_complaint(runtime: Runtime) -> str:
    """Return what is wrong with the node's clock, "" for nothing; it is logged as silence on a topic is."""
    started_s = min((h.started_s for stream in streams_of(runtime) for h in list(stream.listeners)), default=None)
    if started_s is None or not runtime.waits_for_clock():
        return ""
    if time.monotonic() - started_s <= runtime.parameters.input.no_data_s:
        return ""
    publishers = runtime.graph.publishers(CLOCK)
    who = f"publishers {names_of(publishers)}" if publishers else "nobody publishes it"
    line = (
        f"this node's clock stands at zero: use_sim_time is true and nothing comes on {CLOCK} ({who}); "
        "play the bag with --clock, or set use_sim_time:=false"
    )
    runtime.watchdog.report(CLOCK, line)
    return line
