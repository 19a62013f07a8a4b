"""Does each camera come with a calibration that can be used for its images?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from lsm_core.doctor import Fault, Finding, Level, ok
from lsm_perception.bringup_arguments import camera_info_topic
from lsm_perception.calibration_choice import CALIBRATED, CalibrationChoice
from lsm_perception.conversions.errors import BadMessageError
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.streams import INFO_KIND, Stream
from lsm_perception.doctor.topics import silent, size_of
from lsm_perception.silence import COMPRESSED
from lsm_perception.source_image import SourceImage

ABSENT = Fault(
    "camera_info.absent",
    "note",
    "Images come without calibration: the focal length is estimated, and lens distortion stays (a problem for "
    "pixelsplat, which needs it).",
    "Calibrate the camera and let its driver publish {topic}, or name it: camera_info_topic:={candidate}.",
    "troubleshooting.md#camera-info",
)
UNCALIBRATED = Fault(
    "camera_info.unused",
    "note",
    "camera_info comes, and the images are used without it: uncalibrated, of another size or frame, or not finite.",
    "Publish the calibration of this very stream: its size, its frame_id, K not zero.",
    "troubleshooting.md#camera-info",
)
BAD_MODEL = Fault(
    "camera_info.model",
    "problem",
    "The lens model cannot be undone here, so that every image is dropped as bad_camera_info.",
    "{as_the_message_says}",
    "troubleshooting.md#camera-info",
)
FAULTS = (ABSENT, UNCALIBRATED, BAD_MODEL)

NEED_CALIBRATION = ("pixelsplat",)


def calibration_findings(evidence: Evidence) -> Iterator[Finding]:
    """Judge the calibration of each camera whose images come."""
    for stream in evidence.streams:
        if stream.heard.name == "image" and stream.arrivals:
            yield from _of_camera(stream, evidence)


def _of_camera(image: Stream, evidence: Evidence) -> Iterator[Finding]:
    info = evidence.sibling(image, "camera_info")
    if info is None or not info.arrivals:
        yield _absent(image, info, evidence)
        return
    try:
        width, height = size_of(image.record.newest, int(image.parameter("input.max_pixels")))
    except BadMessageError:
        return  # said of the image already
    yield _judged(image, info, width, height)


def _absent(image: Stream, info: Stream | None, evidence: Evidence) -> Finding:
    if info is not None and evidence.graph.publishers(info.topic):
        return silent(info, evidence)
    topic = info.topic if info is not None else camera_info_topic(image.topic.removesuffix(COMPRESSED))
    candidates = evidence.graph.published_topics(INFO_KIND)
    others = f"; CameraInfo is published on {', '.join(candidates[:3])}" if candidates else ""
    level: Level = "problem" if image.parameter("backend") in NEED_CALIBRATION and image.target else "note"
    candidate = candidates[0] if candidates else "TOPIC"
    told = f"nobody publishes {topic}, beside {image.topic}{others}"
    return ABSENT.seen(f"camera_info {topic}", told, level, topic=topic, candidate=candidate)


def _judged(image: Stream, info: Stream, width: int, height: int) -> Finding:
    """Ask the node's own choice what it makes of both."""
    name = f"Calibration of {image.topic}"
    message, calibration = image.record.newest, info.record.newest
    said: list[str] = []
    choice = CalibrationChoice(said.append, said.append, bool(image.parameter("input.rectified")))
    choice.take(calibration)
    source = SourceImage(image.camera, 0, message.header.frame_id, width, height, _never, _never)
    try:
        found = choice.of(source)
    except BadMessageError as error:
        fix = error.fix or "Rectify the images first (image_proc)."
        return BAD_MODEL.seen(name, error.message, image.level, as_the_message_says=fix)
    if choice.state != CALIBRATED or found.K is None:
        return UNCALIBRATED.seen(name, choice.state.partition(": ")[2])
    K = found.K
    told = f"fx {K[0, 0]:.1f}, fy {K[1, 1]:.1f}, cx {K[0, 2]:.1f}, cy {K[1, 2]:.1f} for {width}x{height}"
    lens = f"{calibration.distortion_model or 'no'} distortion" if found.distorted else "no distortion to undo"
    return ok(name, f"{told}, {lens}")


def _never() -> NoReturn:
    raise AssertionError("A calibration is chosen without a look at pixels.")
