"""Look at the running robot for a few seconds and gather the evidence.

Nodes turn up one after the other: Fast DDS announces a participant every 3 s. So the graph is looked at again and
again, what is new is asked and listened to at once, and what turned up late is heard for a moment longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
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
from lsm_perception.doctor.target import ASKED, Target, target_names
from lsm_perception.silence import COMPRESSED

MESSAGES = {
    "sensor_msgs/msg/Image": Image,
    "sensor_msgs/msg/CompressedImage": CompressedImage,
    "sensor_msgs/msg/CameraInfo": CameraInfo,
    "nav_msgs/msg/Odometry": Odometry,
}
BEST_EFFORT = QoSProfile(depth=100, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)
LOOK_S = 0.25
ALONE_S = 3.4  # nobody by then: nobody is there (a participant announces itself every 3 s)
HEAR_S = 2.0  # least time that an input is listened to
GUESSED = "?"  # stands for the node of a camera that was found; a node that turns up later makes it void
Told = Callable[[str], None]
Questions = tuple[Question, Question]


class Session:
    """One visit; to be closed."""

    def __init__(self, probe: Probe, settings: Settings) -> None:
        """Begin to hear what concerns every robot: /tf, /tf_static, /clock, /diagnostics."""
        self._probe = probe
        self._settings = settings
        self._transforms = TransformRecord()
        self._clock = Record()
        self._statuses: dict[str, Any] = {}
        self._asked: dict[str, Questions] = {}
        self._streams: dict[tuple[str, str], Stream] = {}  # (node that listens, topic)
        self._records: dict[str, Record] = {}
        self._until_s = 0.0
        self._subscriptions = [
            probe.hear(TFMessage, "/tf", BEST_EFFORT, partial(self._transforms.take, static=False)),
            probe.hear(TFMessage, "/tf_static", LATCHED, partial(self._transforms.take, static=True)),
            probe.hear(Clock, "/clock", BEST_EFFORT, lambda m: self._clock.add(m, arrival(stamp_to_ns(m.clock)))),
            probe.hear(DiagnosticArray, "/diagnostics", BEST_EFFORT, self._take_diagnostics),
        ]

    def gather(self, seconds: float, told: Told) -> Evidence:
        """Look around and listen, and return what there is.

        Args:
            seconds: in all; a little longer for inputs that turn up late, 3.4 s at most on an empty graph.
            told: takes a line on what goes on.
        """
        began_s = time.monotonic()
        self._until_s = began_s + seconds
        while (now_s := time.monotonic()) < self._until_s:
            graph = take_snapshot(self._probe.node)
            self._follow(graph, now_s > began_s + seconds / 2)
            if not graph.nodes and now_s > began_s + ALONE_S:
                break
            told(f"Listening: {len(set(graph.nodes))} node(s), {len(self._streams)} input(s)")
            time.sleep(LOOK_S)
        return self._evidence(take_snapshot(self._probe.node), time.monotonic() - began_s)

    def close(self) -> None:
        """Listen no more."""
        for subscription in self._subscriptions:
            self._probe.node.destroy_subscription(subscription)

    def _follow(self, graph: Snapshot, guess: bool) -> None:
        """Ask new nodes and hear their inputs, and those the user names; without any, those of a camera found."""
        for name in target_names(graph, self._settings.get("namespace")):
            if name not in self._asked:
                state = self._probe.ask(GetState, f"{name}/get_state")
                self._asked[name] = (
                    state,
                    self._probe.ask(GetParameters, f"{name}/get_parameters", names=list(ASKED)),
                )
            for stream in streams_of_target(Target(name), graph):
                self._hear(name, stream)
        for questions in self._asked.values():
            for question in questions:
                question.poll()
        for stream in streams_of_settings(self._settings, "/" + self._settings.get("namespace").strip("/")):
            self._hear("", stream)
        if guess and not self._streams:
            for stream in streams_of_graph(graph):
                self._hear(GUESSED, stream)

    def _hear(self, node: str, stream: Stream) -> None:
        if (node, stream.topic) in self._streams:
            return
        if stream.topic not in self._records:
            record = self._records[stream.topic] = Record()
            kind = MESSAGES[stream.heard.kind]
            take = partial(take_stamped, record, kind)
            self._subscriptions.append(self._probe.hear_raw(kind, stream.topic, BEST_EFFORT, take))
            self._until_s = max(self._until_s, time.monotonic() + HEAR_S)
        self._streams[node, stream.topic] = replace(stream, record=self._records[stream.topic])

    def _evidence(self, graph: Snapshot, seconds: float) -> Evidence:
        for questions in self._asked.values():
            for question in questions:
                question.poll()
        targets = {name: _target(name, *questions) for name, questions in self._asked.items()}
        heard = {topic for node, topic in self._streams if node in targets}
        known = heard | {topic.removesuffix(COMPRESSED) for topic in heard}  # the user names the raw topic
        streams = [
            replace(stream, target=targets.get(node))
            for (node, topic), stream in self._streams.items()
            if node in targets or (topic not in known and not (node == GUESSED and graph.ours))
        ]
        return Evidence(
            graph=graph,
            targets=tuple(targets.values()),
            streams=tuple(with_told_parts(streams, self._parts(targets))),
            transforms=self._transforms,
            clock=self._clock,
            diagnostics=dict(self._statuses),
            settings=self._settings,
            seconds=seconds,
        )

    def _parts(self, targets: dict[str, Target]) -> dict[tuple[str, str], tuple[str, str]]:
        """Return what diagnostics say of inputs: (node, topic) -> (part, camera)."""
        out: dict[tuple[str, str], tuple[str, str]] = {}
        for name, status in self._statuses.items():
            node, _, part = name.partition(": ")
            if node not in targets or part.split(" ")[0] != "camera":
                continue
            for entry in status.values:
                if entry.value and (entry.key == "topic" or entry.key.endswith("_topic")):
                    of = entry.key.removesuffix("topic").rstrip("_") or "image"
                    out[node, entry.value] = (of, part.partition(" ")[2])
        return out

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if ": " in status.name:
                self._statuses[status.name] = status


def _target(name: str, state: Question, values: Question) -> Target:
    """Return a node as its services have answered."""
    told, given = state.reply, values.reply
    found = [] if given is None else [parameter_value_to_python(value) for value in given.values]
    answered = len(found) == len(ASKED)
    parameters = {n: v for n, v in zip(ASKED, found, strict=False) if v is not None} if answered else {}
    return Target(name, None if told is None else str(told.current_state.label), parameters, answered)
