"""Do the inputs come, from whom, how fast, and can they be read?"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from lsm_core.doctor import Fault, Finding, ok
from lsm_perception.conversions.compressed_images import check_compressed
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.conversions.images import check_image
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.records import rate_hz
from lsm_perception.doctor.snapshot import Snapshot
from lsm_perception.doctor.streams import IMAGE_KIND, Stream, guess
from lsm_perception.doctor.target import ACTIVE
from lsm_perception.graph import mismatches, names_of
from lsm_perception.silence import COMPRESSED, COMPRESSED_KIND, Listened, why_silent

NO_CAMERA = Fault(
    "topic.no_camera",
    "note",
    "Nobody publishes images.",
    "Start the camera's driver; if it runs elsewhere: the same ROS_DOMAIN_ID there, and a discovery range that "
    "reaches it.",
    "troubleshooting.md#no-images",
)
UNPUBLISHED = Fault(
    "topic.unpublished",
    "problem",
    "Nobody publishes an input; the line names topics of its type that somebody does publish.",
    "Start its driver, or give the name that is published: {argument}.",
    "troubleshooting.md#no-images",
)
WRONG_TYPE = Fault(
    "topic.type",
    "problem",
    "What is published under the name of an input is of another type.",
    "Name another topic, or the other transport: {argument}.",
    "troubleshooting.md#no-images",
)
WRONG_QOS = Fault(
    "topic.qos",
    "problem",
    "An input is published, and with the QoS asked for nothing passes.",
    "Remove or change qos_overrides.{topic}.subscription.{policy} of the node, or make the driver offer more.",
    "troubleshooting.md#qos",
)
SILENT = Fault(
    "topic.silent",
    "problem",
    "An input has a publisher that fits, and no message came while the doctor listened.",
    "ros2 topic hz {topic} on the driver's machine: if it is silent there, too, mend the driver; else large "
    "messages do not pass (see Over DDS, Fast DDS settings, Socket buffers; or image_transport:=compressed).",
    "troubleshooting.md#no-images",
)
SLOW = Fault(
    "topic.slow",
    "note",
    "Images come less than once a second: motion between two of them may be too large to be followed.",
    "Raise the driver's rate; where the network loses them: image_transport:=compressed.",
    "troubleshooting.md#lost-images",
)
REFUSED = Fault(
    "image.refused",
    "problem",
    "The images that come cannot be used: encoding, size or data.",
    "{as_the_message_says}",
    "troubleshooting.md#image-format",
)
GARBLED = Fault(
    "topic.garbled",
    "problem",
    "Bytes come that cannot be unpacked as the type they claim: the sender has another version of the message.",
    "Build sender and receiver against the same sensor_msgs (the same ROS 2 distribution on all machines).",
    "troubleshooting.md#image-format",
)
ELSEWHERE = Fault(
    "topic.elsewhere",
    "problem",
    "The running node does not listen to the topic that the doctor was told.",
    "Start the node with {argument}:={topic}.",
    "launch.md",
)
FAULTS = (NO_CAMERA, UNPUBLISHED, WRONG_TYPE, WRONG_QOS, SILENT, SLOW, REFUSED, GARBLED, ELSEWHERE)

SLOW_HZ = 1.0
OPTIONAL = ("depth", "mask", "odom")
ARGUMENTS = {name: f"{name}_topic" for name in ("image", "camera_info", "depth", "odom")}


def topic_findings(evidence: Evidence) -> Iterator[Finding]:
    """Judge every input that was listened to, but calibration without a publisher."""
    served = any(target.state == ACTIVE for target in evidence.targets)
    if not served and not any(stream.heard.name == "image" for stream in evidence.streams):
        yield NO_CAMERA.seen("Images", "no image topic on this graph")
    for stream in evidence.streams:
        if stream.target is None and served and evidence.settings.get(ARGUMENTS[stream.heard.name]):
            yield _elsewhere(stream, evidence)
        if stream.heard.name != "camera_info" or evidence.graph.publishers(stream.topic):
            yield from _input(stream, evidence)


def _input(stream: Stream, evidence: Evidence) -> Iterator[Finding]:
    graph, arrivals = evidence.graph, stream.arrivals
    if not arrivals:
        if graph.publishers(stream.topic) or stream.heard.name not in OPTIONAL or demanded(stream):
            yield silent(stream, evidence)
        return
    rate = rate_hz(arrivals)
    told = f"{rate:.1f} Hz" if rate else f"{len(arrivals)} message(s)"
    yield_ok = ok(stream.label, f"{told}{described(stream)}, from {names_of(graph.publishers(stream.topic))}")
    if stream.heard.name != "image":
        yield yield_ok
        return
    refusal = refused(stream)
    if refusal is not None:
        yield refusal
    elif rate and rate < SLOW_HZ:
        yield SLOW.seen(stream.label, yield_ok.found)
    else:
        yield yield_ok


def silent(stream: Stream, evidence: Evidence) -> Finding:
    """Return why nothing comes: nobody publishes, another type, QoS, or silence."""
    heard, graph = stream.heard, evidence.graph
    why = why_silent(heard, graph)
    level = stream.level if heard.name == "image" or demanded(stream) or stream.target is None else "note"
    peers = graph.publishers(heard.topic)
    fitting = [peer for peer in peers if peer.kind == heard.kind]
    if stream.garbled:
        told = f"{len(stream.record.arrivals)} message(s) from {names_of(peers)} are no {heard.kind}"
        return GARBLED.seen(stream.label, told, level)
    if not peers:
        return UNPUBLISHED.seen(stream.label, why, level, argument=suggestion(stream, evidence))
    if not fitting:
        return WRONG_TYPE.seen(stream.label, why, level, argument=suggestion(stream, evidence))
    apart = [mismatches(peer.qos, heard.qos) for peer in fitting]
    if all(apart):
        return WRONG_QOS.seen(stream.label, why, level, topic=heard.topic, policy=apart[0][0])
    return SILENT.seen(stream.label, f"{why} (listened {evidence.seconds:.0f} s)", level, topic=heard.topic)


def suggestion(stream: Stream, evidence: Evidence) -> str:
    """Return the argument of bring-up that would help, with the nearest topic where there is one."""
    heard, graph = stream.heard, evidence.graph
    if heard.name == "image":
        return image_suggestion(heard, graph)
    argument = ARGUMENTS.get(heard.name, f"remap {heard.name}")
    near = difflib.get_close_matches(heard.topic, graph.published_topics(heard.kind), 1, 0.0)
    return f"{argument}:={near[0] if near else 'TOPIC'}"


def image_suggestion(heard: Listened, graph: Snapshot) -> str:
    """Return what brings images: the other transport of this topic, or the nearest camera in either transport."""
    compressed = heard.kind == COMPRESSED_KIND
    other_kind, other = (IMAGE_KIND, "raw") if compressed else (COMPRESSED_KIND, "compressed")
    wanted = heard.topic.removesuffix(COMPRESSED)
    if any(p.kind == other_kind for t in (wanted, wanted + COMPRESSED) for p in graph.publishers(t)):
        return f"image_transport:={other}"
    for kind, more in ((heard.kind, ""), (other_kind, f" image_transport:={other}")):
        cameras = [t.removesuffix(COMPRESSED) for t in graph.published_topics(kind) if guess(t, kind) == "image"]
        near = difflib.get_close_matches(wanted, cameras, 1, 0.0)
        if near:
            return f"image_topic:={near[0]}{more}"
    return "image_topic:=TOPIC"


def demanded(stream: Stream) -> bool:
    """Whether the node's parameters ask for this optional input by name."""
    if stream.heard.name == "depth":
        return bool(stream.parameter("scale.source") == "depth")
    return bool(stream.heard.name == "odom" and stream.parameter("odometry.source") == "topic")


def refused(stream: Stream) -> Finding | None:
    """Return why the newest image cannot be used, None where it can."""
    try:
        size_of(stream.record.newest, int(stream.parameter("input.max_pixels")))
    except BadMessageError as error:
        fix = error.fix or "Look at the driver."
        return REFUSED.seen(stream.label, error.message, stream.level, as_the_message_says=fix)
    return None


def size_of(message: Any, max_pixels: int) -> tuple[int, int]:
    """Return width and height of an image of either transport.

    Raises:
        BadMessageError: it cannot be used.
    """
    if hasattr(message, "encoding"):
        check_image(message, max_pixels)
        return int(message.width), int(message.height)
    return check_compressed(message, max_pixels)


def described(stream: Stream) -> str:
    """Return size, encoding and frame of the newest message, as far as it has them."""
    message = stream.record.newest
    frame = f", frame '{message.header.frame_id}'"
    if hasattr(message, "encoding"):
        return f", {message.width}x{message.height} {message.encoding}{frame}"
    if hasattr(message, "format"):
        return f", {message.format or 'compressed'}, {len(message.data) / 1000:.0f} kB{frame}"
    return frame


def _elsewhere(stream: Stream, evidence: Evidence) -> Finding:
    nodes = [target for target in evidence.targets if target.state == ACTIVE]
    name = stream.heard.name
    heard = [s.topic for s in evidence.streams if s.target is not None and s.heard.name == name]
    told = f"{nodes[0].name} listens to {', '.join(heard) or 'none of its kind'}"
    topic = stream.topic.removesuffix(COMPRESSED)
    return ELSEWHERE.seen(stream.label, told, argument=ARGUMENTS.get(name, name), topic=topic)
