"""What is wrong with the inputs now: silence, losses, a clock that does not run, metres that do not come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsm_perception.graph import Graph, names_of
from lsm_perception.loss_watch import LossWatch
from lsm_perception.symptoms import Symptom, see
from lsm_perception.time_watch import ClockState
from lsm_perception.watchdog import Watchdog, Watched

if TYPE_CHECKING:
    from lsm_perception.camera_stream import CameraStream
    from lsm_perception.runtime import Runtime

CLOCK = "/clock"
MISSED_AFTER = 50  # images without metres that are worth a line


@dataclass(frozen=True)
class Findings:
    """What was found: a line per silent topic, by topic, and what is wrong with the clock ("" for nothing)."""

    silent: Mapping[str, str]
    clock: str


class InputWatch:
    """Looks at all inputs of a runtime now and then, and logs what it finds where that is due."""

    def __init__(self, graph: Graph, warn: Callable[[str], object], inform: Callable[[str], object]) -> None:
        self._graph = graph
        self._watchdog = Watchdog(graph, warn, inform)
        self._losses = LossWatch(warn)

    def look(self, runtime: Runtime) -> Findings:
        """Return what is wrong now."""
        self._losses.look(heard for stream in streams_of(runtime) for heard in list(stream.listeners)[:1])
        silent = self._watchdog.look(watched_topics(runtime), runtime.parameters.input.no_data_s)
        clock = self._clock_complaint(runtime)
        if clock:
            self._watchdog.report(CLOCK, clock)
        return Findings(silent, clock)

    def report_missing_metres(self, camera: str, images: int, reason: str) -> None:
        """Log once why there are no metres from a camera whose images have come for a while."""
        if images >= MISSED_AFTER:
            name = f" from camera {camera}" if camera else ""
            line = see(f"no metres{name} yet: {reason}", Symptom.NO_METRES)
            self._watchdog.report(f"scale of {camera}", line, float("inf"), "no metres")

    def forget(self) -> None:
        """Begin anew: the node listens to nothing now."""
        self._watchdog.forget()

    def _clock_complaint(self, runtime: Runtime) -> str:
        started_s = min((h.started_s for s in streams_of(runtime) for h in list(s.listeners)), default=None)
        if started_s is None or not runtime.waits_for_clock():
            return ""
        if time.monotonic() - started_s <= runtime.parameters.input.no_data_s:
            return ""
        publishers = self._graph.publishers(CLOCK)
        who = f"publishers {names_of(publishers)}" if publishers else "nobody publishes it"
        line = (
            f"this node's clock stands at zero: use_sim_time is true and nothing comes on {CLOCK} ({who}); "
            "play the bag with --clock, or set use_sim_time:=false"
        )
        return see(line, Symptom.CLOCK)


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
