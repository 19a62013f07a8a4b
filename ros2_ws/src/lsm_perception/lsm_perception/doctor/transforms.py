"""tf: from the odometry frame to each camera at its images' stamps; frames that two parents or nodes claim."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from statistics import median

from rclpy.time import Time

from lsm_core.doctor import Fault, Finding, Level, ok
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.records import Arrival, TransformRecord
from lsm_perception.doctor.streams import Stream
from lsm_perception.doctor.target import ACTIVE

NO_FRAME = Fault(
    "tf.no_frame",
    "problem",
    "The images have an empty frame_id, so that nobody knows where the camera is: no metres from odometry.",
    "Set the frame in the driver (frame_id, camera_frame ...), the optical frame of the robot's description.",
    "troubleshooting.md#no-metres",
)
ABSENT = Fault(
    "tf.absent",
    "note",
    "There is no tf at all: no metres from odometry, all stays in frames that end in _unscaled (a problem where "
    "the node is told to use tf).",
    "Start the robot's odometry and robot_state_publisher; or metres by depth images, a rig, "
    "odom_topic:=TOPIC with odometry.source: topic, or scale.camera_height_m.",
    "troubleshooting.md#no-metres",
)
BROKEN = Fault(
    "tf.broken",
    "problem",
    "tf has no path from the odometry frame to the camera's frame: no metres from odometry.",
    "Publish the missing link, for example: ros2 run tf2_ros static_transform_publisher --frame-id base_link "
    "--child-frame-id {frame} (with x y z and the rotation to the optical frame); or odom_frame:={root}.",
    "troubleshooting.md#no-metres",
)
TIME = Fault(
    "tf.time",
    "problem",
    "tf knows the path, but not at the stamps of the images: two clocks, or tf comes too late or too rarely.",
    "Synchronise the clocks of camera and odometry (chrony), or give both simulated time; {advice}.",
    "troubleshooting.md#no-metres",
)
LATE = Fault(
    "tf.late",
    "note",
    "tf for an image's stamp comes later than the node waits for it, so that images go without odometry.",
    "Publish odometry faster, or odometry.max_wait_s: {wait} for the node.",
    "parameters.md",
)
TWO_PARENTS = Fault(
    "tf.two_parents",
    "problem",
    "A frame has two parents on tf: lookups give one or the other by chance.",
    "Stop one of the two publishers of {frame} (ros2 run tf2_tools view_frames names them).",
    "node.md#frames",
)
CLASH = Fault(
    "tf.clash",
    "problem",
    "Two perception nodes publish frames of the same names.",
    "Give each its own frame_prefix:=robot1/, or publish_tf:=false for one.",
    "launch.md",
)
RIG = Fault(
    "tf.rig",
    "problem",
    "tf does not know where the rig's second camera is from the first: its images are dropped as no_extrinsics.",
    "Publish the static transform between {first} and {second}.",
    "troubleshooting.md#rig",
)
ODOM_FRAME = Fault(
    "odom.frame",
    "problem",
    "Messages of the odometry topic are in another frame than odom_frame, and are not used.",
    "odom_frame:={frame}, or let the odometry publish in {wanted}.",
    "troubleshooting.md#no-metres",
)
FAULTS = (NO_FRAME, ABSENT, BROKEN, TIME, LATE, TWO_PARENTS, CLASH, RIG, ODOM_FRAME)

SETTLE_S = 0.5  # tf of the newest images may still be on its way, and that of the first may have passed
LOOKED_AT = 60
ENOUGH = 0.8
WITHOUT_ODOMETRY = ("depth", "camera_height", "none", "rig")  # scale sources that need none


def transform_findings(evidence: Evidence) -> Iterator[Finding]:
    """Judge tf."""
    for child, parents in evidence.transforms.parents.items():
        if len(parents) > 1:
            yield TWO_PARENTS.seen(f"tf {child}", f"parents: {', '.join(parents)}", frame=child)
    yield from _clashes(evidence)
    seen: set[tuple[str, str]] = set()
    for stream in evidence.streams:
        if stream.heard.name == "image" and stream.arrivals:
            frame = frame_of(stream)
            key = (frame, odom_frame(stream, evidence))
            if key not in seen:
                seen.add(key)
                yield from _of_camera(stream, frame, evidence)
    yield from _rigs(evidence)


def frame_of(stream: Stream) -> str:
    """Return the frame_id of a stream's newest message."""
    return str(stream.record.newest.header.frame_id).lstrip("/")


def odom_frame(stream: Stream, evidence: Evidence) -> str:
    """Return the odometry frame that counts for a stream."""
    return evidence.settings.get("odom_frame") or str(stream.parameter("odom_frame"))


def _of_camera(stream: Stream, frame: str, evidence: Evidence) -> Iterator[Finding]:
    source, name = stream.parameter("odometry.source"), f"tf of {stream.topic}"
    if source == "none":
        return
    level: Level = "note" if stream.parameter("scale.source") in WITHOUT_ODOMETRY else stream.level
    if not frame:
        yield NO_FRAME.seen(name, "frame_id is empty", level)
        return
    odom = _odometry(evidence)
    if source == "topic" or (source == "auto" and odom is not None and not _knows(stream, frame, evidence)):
        if odom is not None:
            yield _by_topic(stream, odom, frame, evidence, level)
        return  # a silent odometry topic is said by the inputs
    yield _by_tf(stream, frame, evidence, level)


def _odometry(evidence: Evidence) -> Stream | None:
    return next((s for s in evidence.streams if s.heard.name == "odom" and s.arrivals), None)


def _knows(stream: Stream, frame: str, evidence: Evidence) -> bool:
    return bool(evidence.transforms.buffer.can_transform(odom_frame(stream, evidence), frame, Time()))


def _by_topic(stream: Stream, odom: Stream, frame: str, evidence: Evidence, level: Level) -> Finding:
    """Judge odometry by its topic: its frame, and the static way from the body to the camera."""
    message, wanted = odom.record.newest, odom_frame(stream, evidence)
    said, base = message.header.frame_id.lstrip("/"), message.child_frame_id.lstrip("/")
    if said not in ("", wanted):
        told = f"frame '{said}', odom_frame is '{wanted}'"
        return ODOM_FRAME.seen(odom.label, told, level, frame=said, wanted=wanted)
    if base != frame and not evidence.transforms.buffer.can_transform(base, frame, Time()):
        told = f"no path from {base} (body of {odom.topic}) to {frame}"
        return BROKEN.seen(f"tf of {stream.topic}", told, level, frame=frame, root=wanted)
    return ok(f"tf of {stream.topic}", f"{wanted} -> {base} by {odom.topic}, {base} -> {frame} by tf")


def _by_tf(stream: Stream, frame: str, evidence: Evidence, level: Level) -> Finding:
    """Judge the path from the odometry frame to the camera by tf alone."""
    tf, wanted, name = evidence.transforms, odom_frame(stream, evidence), f"tf of {stream.topic}"
    parents = tf.parents
    own = {child for child in parents if "lsm_" in child}
    if not set(parents) - own:
        told = "nothing on /tf and /tf_static"
        return ABSENT.seen(name, told, level if stream.parameter("odometry.source") == "tf" else "note")
    if not _knows(stream, frame, evidence):
        return BROKEN.seen(name, _gap(tf, wanted, frame), level, frame=frame, root=tf.chain(frame)[-1])
    chain = tf.chain(frame)
    links = [link for link in chain if tf.moving(link)]
    images = _settled(stream, tf, links)
    path = " -> ".join(reversed(chain[: chain.index(wanted) + 1] if wanted in chain else [*chain, wanted]))
    if not images:
        return ok(name, f"{path} is known; too few images to look at stamps")
    known = sum(bool(tf.buffer.can_transform(wanted, frame, Time(nanoseconds=a.stamp_ns))) for a in images)
    told = f"{path} at {known} of {len(images)} stamps"
    if known < ENOUGH * len(images):
        gap = newest_gap_s(tf, links, images[-1])
        side = f"; newest tf is {abs(gap):.3g} s {'older' if gap < 0 else 'newer'} than the image" if links else ""
        advice = "raise the rate of odometry" if abs(gap) < 1 else "look at what stamps them"
        return TIME.seen(name, told + side, level, advice=advice)
    wait_s = median([waited_s(tf, links, image) for image in images])
    limit_s = float(stream.parameter("odometry.max_wait_s"))
    if wait_s > limit_s:
        words = f"{told}; tf comes {wait_s:.3g} s after the image, the node waits {limit_s:g} s"
        return LATE.seen(name, words, wait=f"{2 * wait_s:.1g}")
    return ok(name, f"{told}; tf comes {wait_s * 1e3:.0f} ms after the image" if links else told)


def _settled(stream: Stream, tf: TransformRecord, links: list[str]) -> list[Arrival]:
    """Return the newest images since tf was heard at all, that came long enough ago for their tf to follow."""
    began_s = max((tf.moving(link)[0].mono_s for link in links), default=float("-inf"))
    last_s = stream.arrivals[-1].mono_s - SETTLE_S
    return [a for a in stream.arrivals if a.stamp_ns > 0 and began_s <= a.mono_s < last_s][-LOOKED_AT:]


def waited_s(tf: TransformRecord, links: list[str], image: Arrival) -> float:
    """Return how long after an image's arrival tf reached its stamp on all moving links; 0 where it was there."""
    latest_s = image.mono_s
    for link in links:
        came = next((a.mono_s for a in tf.moving(link) if a.stamp_ns >= image.stamp_ns), image.mono_s)
        latest_s = max(latest_s, came)
    return latest_s - image.mono_s


def newest_gap_s(tf: TransformRecord, links: list[str], image: Arrival) -> float:
    """Return the newest tf's stamp when an image came, less the image's, on the worst link; seconds."""
    gaps = [0.0]
    for link in links:
        came = tf.moving(link)
        index = max(1, bisect_left(came, image.mono_s, key=lambda a: a.mono_s))
        gaps.append((came[index - 1].stamp_ns - image.stamp_ns) / 1e9)
    return max(gaps, key=abs)


def _gap(tf: TransformRecord, wanted: str, frame: str) -> str:
    """Return where the path ends, in words."""
    chain = tf.chain(frame)
    known = wanted in tf.parents or any(wanted in parents for parents in tf.parents.values())
    if len(chain) == 1:
        return f"nobody publishes the frame {frame} of the images" + ("" if known else f", nor {wanted}")
    return f"{frame} leads up to {chain[-1]}, which is not {'under' if known else ''} {wanted}".replace("  ", " ")


def _clashes(evidence: Evidence) -> Iterator[Finding]:
    heads: Counter[str] = Counter()
    for target in evidence.targets:
        if target.state == ACTIVE and target["publish_tf"]:
            for camera in {str(camera) for camera in target["cameras"]}:
                heads[f"{target['frame_prefix']}{camera + '_' if camera else ''}lsm_map"] += 1
    for frame, count in sorted(heads.items()):
        if count > 1:
            yield CLASH.seen(f"tf {frame}", f"{count} perception nodes publish it")


def _rigs(evidence: Evidence) -> Iterator[Finding]:
    for target in evidence.targets:
        if target["pairing"] != "rig":
            continue
        heard = [s for s in evidence.streams if s.target is target and s.heard.name == "image" and s.arrivals]
        frames = [frame_of(stream) for stream in heard]
        if len(frames) == 2 and frames[0] != frames[1]:
            first, second = frames
            name = f"Rig of {target.name}"
            if evidence.transforms.buffer.can_transform(first, second, Time()):
                yield ok(name, f"tf knows {second} from {first}")
            else:
                yield RIG.seen(name, f"no path between {first} and {second}", first=first, second=second)
