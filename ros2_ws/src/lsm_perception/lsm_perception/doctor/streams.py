"""Which topics are looked at as inputs: those of the running node, those the user names, or a camera found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lsm_core.doctor import Level, Settings
from lsm_perception.bringup_arguments import camera_info_topic
from lsm_perception.doctor.records import Arrival, Record
from lsm_perception.doctor.snapshot import Snapshot
from lsm_perception.doctor.target import Target
from lsm_perception.qos import input_qos
from lsm_perception.silence import COMPRESSED, COMPRESSED_KIND, Listened

IMAGE_KIND, INFO_KIND = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
ODOMETRY_KIND = "nav_msgs/msg/Odometry"
KINDS = {"image": IMAGE_KIND, "camera_info": INFO_KIND, "depth": IMAGE_KIND, "odom": ODOMETRY_KIND}
HEARD_KINDS = (IMAGE_KIND, COMPRESSED_KIND, INFO_KIND, ODOMETRY_KIND)


@dataclass(frozen=True)
class Stream:
    """One input.

    Attributes:
        heard: its name (image, camera_info, depth, mask, odom), topic, type and QoS.
        camera: whose it is, "" for the only one.
        level: of a fault on it: problem for a running node or a topic that the user named, else note.
        target: the node that listens, None for none.
        record: what came.
    """

    heard: Listened
    camera: str = ""
    level: Level = "problem"
    target: Target | None = None
    record: Record = field(default_factory=Record, compare=False)

    @property
    def topic(self) -> str:
        """Full name of the topic."""
        return self.heard.topic

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """What came and can be read."""
        return self.record.arrivals if self.record.newest is not None else ()

    @property
    def garbled(self) -> bool:
        """Whether something came that is no message of the type."""
        return bool(self.record.arrivals) and self.record.newest is None

    @property
    def label(self) -> str:
        """How the report names it."""
        return f"{self.heard.name} {self.topic}"

    def parameter(self, name: str) -> Any:
        """Return a parameter of the node that listens, or its default."""
        return (self.target or Target(""))[name]


def streams_of_target(target: Target, graph: Snapshot) -> list[Stream]:
    """Return the inputs that an active node listens to, their parts guessed by type and name."""
    found = []
    for topic, peer in graph.listened_by(target.name).items():
        if peer.kind in HEARD_KINDS:
            heard = Listened(guess(topic, peer.kind), topic, peer.kind, peer.qos)
            found.append(Stream(heard, target=target))
    return found


def with_told_parts(streams: Sequence[Stream], told: Mapping[tuple[str, str], tuple[str, str]]) -> list[Stream]:
    """Return streams with the part and the camera that the node's diagnostics say.

    Args:
        streams: as guessed.
        told: (node, topic) -> (part, camera).
    """
    out = []
    for stream in streams:
        node = "" if stream.target is None else stream.target.name
        name, camera = told.get((node, stream.topic), (stream.heard.name, stream.camera))
        out.append(replace(stream, heard=replace(stream.heard, name=name), camera=camera))
    return out


def streams_of_settings(settings: Settings, namespace: str) -> list[Stream]:
    """Return the inputs at the topics that the user names."""
    return [Stream(_wanted(name, topic, settings, namespace)) for name, topic in _named(settings)]


def streams_of_graph(graph: Snapshot) -> list[Stream]:
    """Return the first camera on the graph, and its calibration; nothing where there is none."""
    cameras = [topic for topic in graph.published_topics(IMAGE_KIND) if guess(topic, IMAGE_KIND) == "image"]
    compressed = [t for t in graph.published_topics(COMPRESSED_KIND) if guess(t, COMPRESSED_KIND) == "image"]
    beside = [topic for topic in cameras if camera_info_topic(topic) in graph.sent]
    chosen = next(iter([*beside, *cameras, *compressed]), None)
    if chosen is None:
        return []
    kind = COMPRESSED_KIND if chosen in compressed and chosen not in cameras else IMAGE_KIND
    info = camera_info_topic(chosen.removesuffix(COMPRESSED))
    pairs = (("image", chosen, kind), ("camera_info", info, INFO_KIND))
    return [Stream(Listened(name, topic, of, input_qos(name)), level="note") for name, topic, of in pairs]


def _named(settings: Settings) -> list[tuple[str, str]]:
    image = settings.get("image_topic")
    info = settings.get("camera_info_topic") or (camera_info_topic(image) if image else "")
    pairs = (
        ("image", image),
        ("camera_info", info),
        ("depth", settings.get("depth_topic")),
        ("odom", settings.get("odom_topic")),
    )
    return [(name, topic) for name, topic in pairs if topic]


def _wanted(name: str, topic: str, settings: Settings, namespace: str) -> Listened:
    compressed = name == "image" and settings.get("image_transport") == "compressed"
    full = topic if topic.startswith("/") else f"{namespace.rstrip('/')}/{topic}"
    full = full + COMPRESSED if compressed and not full.endswith(COMPRESSED) else full
    return Listened(name, full, COMPRESSED_KIND if compressed else KINDS[name], input_qos(name))


def guess(topic: str, kind: str) -> str:
    """Return which input a topic most likely is."""
    if kind not in (IMAGE_KIND, COMPRESSED_KIND):
        return {INFO_KIND: "camera_info", ODOMETRY_KIND: "odom"}[kind]
    words = topic.lower().removesuffix(COMPRESSED).split("/")
    if "mask" in words[-1]:
        return "mask"
    return "depth" if any("depth" in word for word in words) else "image"
