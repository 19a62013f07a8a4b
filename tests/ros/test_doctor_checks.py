"""Doctor: topics, QoS and calibration, in evidence as a robot would give it; no middleware is used."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from doctor_evidence import (
    GOOD_SENDERS,
    NODE,
    NOW_NS,
    PICTURE,
    SECOND_NS,
    evidence,
    found,
    sent,
    stream,
    ticks,
    tree,
)
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.records import Record, rate_hz, take_stamped
from lsm_perception.doctor.ros_checks import judge
from lsm_perception.doctor.snapshot import Snapshot
from lsm_perception.doctor.streams import IMAGE_KIND, INFO_KIND, Stream, guess, streams_of_graph
from lsm_perception.doctor.target import Target
from lsm_perception.graph import Peer
from lsm_perception.qos import input_qos, output_qos
from lsm_perception.silence import COMPRESSED_KIND, Listened
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from robot import FRAME, camera_info, image_message
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from synthetic_world import WIDTH


def test_a_good_robot_has_no_finding() -> None:
    assert found(evidence()) == {}


def test_the_rate_is_measured() -> None:
    assert rate_hz(tuple(ticks(11, 5.0))) == pytest.approx(5.0)
    assert "topic.slow" in found(evidence(ticks(4, 0.5), transforms=tree(ticks(80))))


@pytest.mark.parametrize(
    ("senders", "code", "fix"),
    [
        ({}, "topic.unpublished", "image_topic:=TOPIC"),
        (sent(camera_image=IMAGE_KIND), "topic.unpublished", "image_topic:=/camera_image"),
        ({"/image/compressed": [Peer("/driver", COMPRESSED_KIND, QoSProfile(depth=1))]}, "topic.unpublished",
         "image_transport:=compressed"),
        ({"/cam/image/compressed": [Peer("/driver", COMPRESSED_KIND, QoSProfile(depth=1))]}, "topic.unpublished",
         "image_topic:=/cam/image image_transport:=compressed"),
        (sent(image=COMPRESSED_KIND), "topic.type", "image_transport:=compressed"),
        (sent(image="std_msgs/msg/String"), "topic.type", "image_topic:="),
        (sent(image=IMAGE_KIND), "topic.silent", "ros2 topic hz /image"),
    ],
)  # fmt: skip
def test_a_silent_image_topic_is_told_why(senders: dict[str, list[Peer]], code: str, fix: str) -> None:
    told = found(evidence([], graph=Snapshot(("/driver",), senders)))[code]
    assert told.level == "problem" and fix in told.fix and told.name == "image /image"


def test_stamps_are_read_from_the_bytes_of_a_message_and_the_newest_is_unpacked() -> None:
    seen = Record()
    take_stamped(seen, Image, serialize_message(image_message(PICTURE, 3 * SECOND_NS + 7)))
    assert [a.stamp_ns for a in seen.arrivals] == [3 * SECOND_NS + 7]
    assert seen.newest.width == WIDTH and seen.newest.header.frame_id == FRAME
    big_endian = bytes([0, 0, 0, 0]) + (5).to_bytes(4, "big") + (6).to_bytes(4, "big")
    take_stamped(seen, Image, big_endian)
    take_stamped(seen, Image, b"short")
    assert seen.arrivals[-1].stamp_ns == 5 * SECOND_NS + 6 and len(seen.arrivals) == 2


def test_bytes_that_are_no_message_are_told() -> None:
    seen = Record()
    take_stamped(seen, Image, serialize_message(image_message(PICTURE, NOW_NS))[:40])
    good = evidence()
    image = Stream(good.streams[0].heard, target=NODE, record=seen)
    told = found(evidence(streams=(image, good.streams[1])))
    assert "1 message(s) from 1 (/driver) are no sensor_msgs/msg/Image" in told["topic.garbled"].found


def test_ends_that_cannot_connect_are_named_on_the_topic_and_as_a_pair() -> None:
    wanted = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    offered = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    good = evidence([])
    image = Stream(Listened("image", "/image", IMAGE_KIND, wanted), target=NODE)
    graph = Snapshot(
        ("/driver",),
        GOOD_SENDERS | {"/image": [Peer("/driver", IMAGE_KIND, offered)]},
        {"/image": [Peer(NODE.name, IMAGE_KIND, wanted), Peer("/rviz", IMAGE_KIND, wanted)]},
    )
    told = [
        f
        for f in judge(evidence(graph=graph, streams=(image, good.streams[1])))
        if f.code in ("topic.qos", "qos.input")
    ]
    assert [f.code for f in told] == ["topic.qos", "qos.input"]
    assert all("qos_overrides./image.subscription.reliability" in f.fix and f.level == "problem" for f in told)


def test_topics_are_taken_for_what_their_names_say() -> None:
    names = {"/cam/image_raw": "image", "/cam/depth/image_raw": "depth", "/people/mask": "mask"}
    assert {topic: guess(topic, IMAGE_KIND) for topic in names} == names
    assert guess("/cam/depth/image/compressed", COMPRESSED_KIND) == "depth"
    assert guess("/a/odometry", "nav_msgs/msg/Odometry") == "odom"


def test_without_a_node_a_missing_camera_is_a_note() -> None:
    told = found(Evidence(Snapshot(("/talker",))))
    assert {code: finding.level for code, finding in told.items()} == {
        "node.absent": "note",
        "topic.no_camera": "note",
    }


def test_the_command_that_starts_the_node_names_the_camera_that_is_there() -> None:
    topic = "/cam/image_raw/compressed"
    camera = Stream(Listened("image", topic, COMPRESSED_KIND, input_qos("image")), level="note")
    sender = {topic: [Peer("/driver", COMPRESSED_KIND, QoSProfile(depth=1))]}
    told = found(Evidence(Snapshot(("/driver",), sender), streams=(camera,)))["node.absent"]
    assert "./run bringup image_topic:=/cam/image_raw image_transport:=compressed" in told.fix


def test_a_camera_on_the_graph_is_found_with_its_calibration_and_our_outputs_are_none() -> None:
    own = {"/lsm_perception/segmentation/overlay": [Peer("/lsm_perception", IMAGE_KIND, output_qos("points"))]}
    depth = {"/a/depth/image": [Peer("/driver", IMAGE_KIND, QoSProfile(depth=1))]}
    camera = {
        "/b/image_raw": [Peer("/driver", IMAGE_KIND, QoSProfile(depth=1))],
        "/b/camera_info": [Peer("/driver", INFO_KIND, QoSProfile(depth=1))],
    }
    ours = frozenset({NODE.name})
    guessed = streams_of_graph(Snapshot((), own | depth | camera, ours=ours))
    assert [s.topic for s in guessed] == ["/b/image_raw", "/b/camera_info"]
    assert all(s.level == "note" for s in guessed) and not streams_of_graph(Snapshot((), own | depth, ours=ours))


def test_images_that_cannot_be_read_are_told_with_the_encodings_that_can() -> None:
    picture = image_message(PICTURE, NOW_NS)
    picture.encoding = "yuv411"
    told = found(evidence(message=picture))["image.refused"]
    assert "'yuv411' is not supported" in told.found and "rgb8" in told.fix


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"distortion_model": "equidistant"}, "camera_info.model", "equidistant"),
        ({"width": WIDTH * 2}, "camera_info.unused", "the image has"),
        ({"k": [0.0] * 9}, "camera_info.unused", "uncalibrated"),
        ({"header": Header(frame_id="other")}, "camera_info.unused", "of frame 'other'"),
    ],
)
def test_a_calibration_that_cannot_be_used_is_told_why(changes: dict[str, Any], code: str, words: str) -> None:
    good = evidence()
    info = stream("camera_info", "/camera_info", camera_info(NOW_NS, **changes), ticks())
    told = found(evidence(streams=(good.streams[0], info)))[code]
    assert words in told.found and told.fix


def test_a_model_that_needs_calibration_makes_its_absence_a_problem() -> None:
    for backend, level in (("lsm-tiny", "note"), ("pixelsplat", "problem")):
        target = Target(NODE.name, parameters={"backend": backend}, answered=False)
        good = evidence(target=target, graph=Snapshot(("/driver",), sent(image=IMAGE_KIND)))
        told = found(evidence(target=target, graph=good.graph, streams=good.streams[:1]))["camera_info.absent"]
        assert told.level == level and "nobody publishes /camera_info" in told.found
