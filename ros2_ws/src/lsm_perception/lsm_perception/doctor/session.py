"""Look at the running robot for a few seconds and gather the evidence."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

from lsm_core.doctor import Settings
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.probe import Probe, Question
from lsm_perception.doctor.records import Record, TransformRecord, arrival, take_stamped
from lsm_perception.doctor.snapshot import Snapshot, take_snapshot
from lsm_perception.doctor.streams import (
    Stream,
    streams_of_graph,
    streams_of_settings,
    streams_of_target,
    with_told_parts,
)
from lsm_perception.doctor.target import ACTIVE, ASKED, Target, target_names

MESSAGES = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
    "nav_msgs/msg/Odometry": Odometry,
}
BEST_EFFORT = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
ANSWER_S = 2.0
Told = Callable[[str], None]


class Session:
    """One visit: discover, ask, listen, judge later."""

    def __init__(self, probe: Probe, settings: Settings) -> None:
        """Begin to hear what concerns every robot: /tf, /tf_static, /clock, /diagnostics."""
        self._probe = probe
        self._settings = settings
        self._transforms = TransformRecord()
        self._clock = Record()
        self._statuses: dict[str, Any] = {}
        probe.hear(TFMessage, "/tf", BEST_EFFORT, partial(self._transforms.take, static=False))
        probe.hear(TFMessage, "/tf_static", LATCHED, partial(self._transforms.take, static=True))
        probe.hear(Clock, "/clock", BEST_EFFORT, lambda m: self._clock.add(m, arrival(stamp_to_ns(m.clock))))
        probe.hear(DiagnosticArray, "/diagnostics", BEST_EFFORT, self._take_diagnostics)

    def gather(self, seconds: float, told: Told) -> Evidence:
        """Look around, listen, and return what there is.

        Args:
            seconds: to listen, after the search for nodes.
            told: takes a line on what goes on.
        """
        told("Looking for nodes and topics")
        graph = self._probe.discover()
        targets = self._targets(graph)
        streams = self._streams(graph, targets)
        for stream in streams:
            self._probe.hear(
                MESSAGES[stream.heard.kind], stream.topic, BEST_EFFORT, partial(take_stamped, stream.record)
            )
        if graph.nodes:
            told(f"Listening to {len(streams)} input(s), tf and the clock for {seconds:g} s")
            time.sleep(seconds)
        graph = take_snapshot(self._probe.node)
        streams = with_told_parts(streams, self._parts(targets))
        return Evidence(
            graph=graph,
            targets=targets,
            streams=tuple(streams),
            transforms=self._transforms,
            clock=self._clock,
            diagnostics=dict(self._statuses),
            settings=self._settings,
            seconds=seconds,
        )

    def _targets(self, graph: Snapshot) -> tuple[Target, ...]:
        """Return the running perception nodes with state and parameters; all are asked at once."""
        names = target_names(graph, self._settings.get("namespace"))
        states = [self._probe.ask(GetState, f"{name}/get_state") for name in names]
        values = [self._probe.ask(GetParameters, f"{name}/get_parameters", names=list(ASKED)) for name in names]
        deadline_s = time.monotonic() + ANSWER_S
        return tuple(
            _target(name, state, value, deadline_s)
            for name, state, value in zip(names, states, values, strict=True)
        )

    def _streams(self, graph: Snapshot, targets: tuple[Target, ...]) -> list[Stream]:
        found = [s for t in targets if t.state == ACTIVE for s in streams_of_target(t, graph)]
        known = {stream.topic for stream in found}
        asked = streams_of_settings(self._settings, "/" + self._settings.get("namespace").strip("/"))
        found += [stream for stream in asked if stream.topic not in known]
        return found or streams_of_graph(graph)

    def _parts(self, targets: tuple[Target, ...]) -> dict[str, tuple[str, str]]:
        """Return what diagnostics say of inputs: topic -> (part, camera)."""
        out: dict[str, tuple[str, str]] = {}
        for target in targets:
            for name, status in self._statuses.items():
                head, _, part = name.partition(": ")
                if head != target.name or part.split(" ")[0] != "camera":
                    continue
                for entry in status.values:
                    if entry.value and (entry.key == "topic" or entry.key.endswith("_topic")):
                        out[entry.value] = (entry.key.removesuffix("topic").rstrip("_") or "image", part[7:])
        return out

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if ": " in status.name:
                self._statuses[status.name] = status


def _target(name: str, state: Question, values: Question, deadline_s: float) -> Target:
    """Return a node as its services answer."""
    told, given = state.answer(deadline_s), values.answer(deadline_s)
    found = [] if given is None else [parameter_value_to_python(value) for value in given.values]
    answered = len(found) == len(ASKED)
    parameters = {n: v for n, v in zip(ASKED, found, strict=False) if v is not None} if answered else {}
    return Target(name, None if told is None else str(told.current_state.label), parameters, answered)
