"""Doctor: stamps, tf, clock and nodes, in evidence as a robot would give it; no middleware is used."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from diagnostic_msgs.msg import DiagnosticStatus
from doctor_evidence import (
    BEGAN_S,
    GOOD_SENDERS,
    NODE,
    NOW_NS,
    PICTURE,
    SECOND_NS,
    evidence,
    found,
    record,
    sent,
    stream,
    ticks,
    tree,
)
from lsm_perception.conversions.poses import transform_message
from lsm_perception.doctor.evidence import Evidence
from lsm_perception.doctor.records import Arrival, TransformRecord
from lsm_perception.doctor.ros_checks import judge
from lsm_perception.doctor.snapshot import Snapshot
from lsm_perception.doctor.stamps import span
from lsm_perception.doctor.streams import IMAGE_KIND, with_told_parts
from lsm_perception.doctor.target import Target
from lsm_perception.graph import Peer
from lsm_perception.qos import output_qos
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile
from robot import FRAME, image_message
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from lsm_core.doctor import Settings


@pytest.mark.parametrize(
    ("arrivals", "code", "level"),
    [
        ([Arrival(0, a.wall_ns, a.mono_s) for a in ticks()], "stamp.zero", "problem"),
        ([Arrival(NOW_NS, a.wall_ns, a.mono_s) for a in ticks()], "stamp.disorder", "problem"),
        ([*ticks(30), Arrival(NOW_NS, NOW_NS, BEGAN_S + 3)], "stamp.disorder", "note"),
        ([*ticks(30, offset_s=100), *ticks(30)], "stamp.jumped", "note"),
        (ticks(offset_s=-7), "stamp.offset", "note"),
    ],
)
def test_stamps_that_are_wrong_are_told(arrivals: list[Arrival], code: str, level: str) -> None:
    assert found(evidence(arrivals))[code].level == level


def test_images_older_than_the_limit_are_a_problem() -> None:
    target = Target(NODE.name, parameters={"input.max_age_s": 2.0}, answered=False)
    told = found(evidence(ticks(offset_s=-7), target))["stamp.stale"]
    assert told.level == "problem" and "7 s behind the machine's clock" in told.found and "chrony" in told.fix


def test_spans_of_time_are_told_in_the_unit_that_people_use() -> None:
    said = [span(s) for s in (0.0304, 7.0, 600.0, 36_000.0, 1101 * 86_400.0)]
    assert said == ["30.4 ms", "7 s", "10 min", "10 h", "1101 days"]


def test_two_drivers_on_one_topic_are_named() -> None:
    two = {
        "/image": [Peer("/left", IMAGE_KIND, QoSProfile(depth=1)), Peer("/right", IMAGE_KIND, QoSProfile(depth=1))]
    }
    told = found(evidence(graph=Snapshot(("/left", "/right"), GOOD_SENDERS | two)))["topic.two_publishers"]
    assert "2 (/left, /right)" in told.found


@pytest.mark.parametrize(
    ("transforms", "code", "words"),
    [
        (TransformRecord(), "tf.absent", "nothing on /tf"),
        (tree(ticks(40), mount="other_camera"), "tf.broken", "nobody publishes the frame camera_optical_frame"),
        (tree(ticks(40), root="world"), "tf.broken", "leads up to world, which is not odom"),
        (tree(ticks(40, offset_s=-30)), "tf.time", "at 0 of "),
    ],
)
def test_tf_that_does_not_reach_the_camera_is_told_where_it_ends(
    transforms: TransformRecord, code: str, words: str
) -> None:
    assert words in found(evidence(transforms=transforms))[code].found


def test_tf_that_comes_later_than_the_node_waits_is_told_with_a_wait_that_fits() -> None:
    assert found(evidence(transforms=tree(ticks(40), late_s=0.05))) == {}
    told = found(evidence(transforms=tree(ticks(40), late_s=0.3)))["tf.late"]
    assert "0.3 s after the image, the node waits 0.1 s" in told.found and "odometry.max_wait_s: 0.6" in told.fix


def test_images_from_before_tf_was_heard_do_not_count() -> None:
    later = [Arrival(a.stamp_ns, a.wall_ns, a.mono_s) for a in ticks(40)[20:]]
    assert found(evidence(ticks(40), transforms=tree(later))) == {}


def test_tf_matters_only_where_odometry_is_wanted() -> None:
    off = Target(NODE.name, parameters={"odometry.source": "none"}, answered=False)
    assert found(evidence(target=off, transforms=TransformRecord())) == {}
    must = Target(NODE.name, parameters={"odometry.source": "tf"}, answered=False)
    assert found(evidence(target=must, transforms=TransformRecord()))["tf.absent"].level == "problem"
    depth = Target(NODE.name, parameters={"scale.source": "depth"}, answered=False)
    assert found(evidence(target=depth, transforms=tree(ticks(40), "x")))["tf.broken"].level == "note"


def test_a_frame_with_two_parents_is_named_with_both() -> None:
    both = tree(ticks(40))
    both.take(TFMessage(transforms=[transform_message(np.eye(4), "world", "base_link", NOW_NS)]), static=False)
    told = found(evidence(transforms=both))["tf.two_parents"]
    assert told.name == "tf base_link" and told.found == "parents: odom, world"


def test_two_nodes_with_the_same_frames_or_the_same_name_are_found() -> None:
    other = Target("/robot2/lsm_perception")
    told = found(evidence(targets=(NODE, other)))["tf.clash"]
    assert told.name == "tf lsm_map" and "frame_prefix" in told.fix
    apart = Target("/robot2/lsm_perception", parameters={"frame_prefix": "robot2/"})
    assert "tf.clash" not in found(evidence(targets=(NODE, apart)))
    twins = Snapshot(("/driver", NODE.name, NODE.name), GOOD_SENDERS)
    assert found(evidence(graph=twins))["node.twice"].found == "2 nodes have this name"


def test_an_empty_frame_is_told() -> None:
    told = found(evidence(message=image_message(PICTURE, NOW_NS, frame="")))
    assert told["tf.no_frame"].level == "problem"


@pytest.mark.parametrize(
    ("frame", "body", "code"),
    [("odom", "base_link", ""), ("map", "base_link", "odom.frame"), ("odom", "wheels", "tf.broken")],
)
def test_odometry_by_topic_needs_its_frame_and_the_way_from_the_body(frame: str, body: str, code: str) -> None:
    target = Target(NODE.name, parameters={"odometry.source": "topic"}, answered=False)
    message = Odometry(header=Header(frame_id=frame), child_frame_id=body)
    good = evidence(target=target)
    odom = stream("odom", "/odom", message, ticks(), target)
    senders = Snapshot(("/driver",), GOOD_SENDERS | sent(odom=odom.heard.kind))
    told = found(evidence(target=target, graph=senders, streams=(*good.streams, odom)))
    assert list(told) == ([code] if code else [])


def test_a_rig_whose_second_camera_is_not_on_tf_is_named() -> None:
    target = Target(NODE.name, parameters={"pairing": "rig"}, answered=False)
    good = evidence(target=target)
    second = stream("image", "/right/image", image_message(PICTURE, NOW_NS, frame="right"), ticks(), target)
    senders = Snapshot(("/driver",), GOOD_SENDERS | {"/right/image": GOOD_SENDERS["/image"]})
    told = found(evidence(target=target, graph=senders, streams=(*good.streams, second)))["tf.rig"]
    assert told.found == f"no path between {FRAME} and right"


@pytest.mark.parametrize(
    ("stamps", "code"),
    [
        ([], "clock.absent"),
        ([5, 5, 5], "clock.standing"),
        ([5, 6, 1], "clock.jumped"),
        ([5, 6, 7], ""),
    ],
)
def test_a_simulated_clock_is_told_apart(stamps: list[int], code: str) -> None:
    target = Target(NODE.name, parameters={"use_sim_time": True, "odometry.source": "none"}, answered=False)
    clock = record(None, [Arrival(s * SECOND_NS, NOW_NS, BEGAN_S + i - 10) for i, s in enumerate(stamps)])
    told = found(evidence(target=target, clock=clock))
    assert {c for c in told if c.startswith("clock.")} == ({code} if code else set())
    assert ("stamp.offset" in told) == bool(stamps)  # stamps of the machine's clock beside a clock at 7 s


def test_a_clock_that_nobody_uses_and_one_of_two_publishers_are_told() -> None:
    clock = record(None, ticks())
    two = {"/clock": [Peer(name, "rosgraph_msgs/msg/Clock", QoSProfile(depth=1)) for name in ("/bag", "/gazebo")]}
    told = found(evidence(clock=clock, graph=Snapshot(("/bag",), GOOD_SENDERS | two)))
    assert "2 (/bag, /gazebo)" in told["clock.two"].found and "use_sim_time:=true" in told["clock.unused"].fix


@pytest.mark.parametrize(
    ("state", "code"),
    [(None, "node.mute"), ("inactive", "node.inactive"), ("unconfigured", "node.unconfigured")],
)
def test_a_node_that_does_not_work_is_named_with_its_state(state: str | None, code: str) -> None:
    told = found(evidence(targets=(Target("/a/lsm_perception", state, answered=False),)))[code]
    assert told.level == "problem" and told.name == "Node /a/lsm_perception"


def test_what_the_node_says_of_itself_is_passed_on_once() -> None:
    said = {
        f"{NODE.name}: model": DiagnosticStatus(level=b"\x02", message="the device is lost"),
        f"{NODE.name}: input": DiagnosticStatus(level=b"\x01", message="images are dark"),
        f"{NODE.name}: camera": DiagnosticStatus(level=b"\x01", message="images are dark"),
        f"{NODE.name}: scale": DiagnosticStatus(level=b"\x00", message="fine"),
        "/arm: motor": DiagnosticStatus(level=b"\x02", message="hot"),
    }
    told = [f for f in judge(evidence(diagnostics=said)) if f.code == "node.complaint"]
    assert {(f.found, f.level) for f in told} == {("the device is lost", "problem"), ("images are dark", "note")}
    assert len(told) == 2


def test_a_complaint_on_a_topic_that_is_a_finding_already_is_left_out() -> None:
    said = {f"{NODE.name}: input": DiagnosticStatus(level=b"\x01", message="no image on /image for 5 s: ...")}
    told = found(evidence([], diagnostics=said))
    assert "topic.silent" in told and "node.complaint" not in told


def test_nobody_who_listens_is_noted() -> None:
    points = {f"{NODE.name}/points": [Peer(NODE.name, "sensor_msgs/msg/PointCloud2", output_qos("points"))]}
    told = found(evidence(graph=Snapshot(("/driver",), GOOD_SENDERS | points)))
    assert told["output.unheard"].level == "note"
    heard = {f"{NODE.name}/points": [Peer("/rviz", "sensor_msgs/msg/PointCloud2", QoSProfile(depth=1))]}
    assert found(evidence(graph=Snapshot(("/driver",), GOOD_SENDERS | points, heard))) == {}


def test_inputs_get_their_parts_from_what_the_node_says() -> None:
    guessed = [stream("image", "/left/pictures", None, []), stream("image", "/left/range", None, [])]
    told = {(NODE.name, "/left/pictures"): ("image", "left"), (NODE.name, "/left/range"): ("depth", "left")}
    parts = [(s.heard.name, s.camera) for s in with_told_parts(guessed, told)]
    assert parts == [("image", "left"), ("depth", "left")]


def test_optional_inputs_matter_only_where_they_are_wanted() -> None:
    good, wanted = evidence(), Target(NODE.name, parameters={"scale.source": "depth"}, answered=False)
    assert found(evidence(streams=(*good.streams, stream("depth", "/depth", None, [])))) == {}
    asking = evidence(target=wanted)
    told = found(evidence(target=wanted, streams=(*asking.streams, stream("depth", "/depth", None, [], wanted))))
    assert told["topic.unpublished"].level == "problem" and "depth_topic:=" in told["topic.unpublished"].fix


def test_settings_of_the_user_count_where_no_node_runs() -> None:
    told = found(Evidence(Snapshot(()), settings=Settings({"use_sim_time": "true"})))
    assert told["clock.absent"].level == "problem"
