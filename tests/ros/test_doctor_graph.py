"""`lsm doctor` beside a running node: each fault on the graph is named with its fix, and a good robot has none."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from driver import Driver, Habits
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lsm_perception.doctor.probe import Probe
from lsm_perception.doctor.ros_checks import judge
from lsm_perception.doctor.session import Session
from lsm_perception.doctor.snapshot import take_snapshot
from lsm_perception.doctor.target import target_names
from node_process import ACTIVE, StubProcess
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from robot import Robot
from sensor_msgs.msg import PointCloud2
from synthetic_world import View
from waiting import wait_until

from lsm_core.doctor import Finding, read_settings

LAUNCHER = Path(__file__).parents[2] / "ros2_ws/src/lsm_perception/scripts/doctor"
BEST_EFFORT = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
LISTEN_S = 1.5  # and 2 s for an input that is new
Visit = Callable[..., dict[str, Finding]]


@pytest.fixture(scope="module")
def stub(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """A node that asks for reliable images, so that a driver can offer too little."""
    parameters = {
        "diagnostics_period_s": 0.5,
        "qos_overrides./image.subscription.reliability": "reliable",
    }
    process = StubProcess(tmp_path_factory.mktemp("doctor"), parameters)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robot(stub: StubProcess) -> Iterator[Robot]:
    """Somebody who listens to the clouds, and asks the node's services."""
    client = Robot(("points",))
    for publisher in (client.images, client.infos, client.tf, client.tf_static):
        client.client.destroy_publisher(publisher)  # the driver's part here
    yield client
    client.close()


@pytest.fixture(scope="module")
def visit(robot: Robot) -> Iterator[Visit]:
    """Look at the graph as `lsm doctor WORDS` does, by one probe for all tests; return what is not well by code."""
    with Probe() as probe:
        # A participant announces itself every 3 s; later visits need not wait for that again.
        assert wait_until(lambda: bool(target_names(take_snapshot(probe.node))), 15.0)

        def look(*words: str) -> dict[str, Finding]:
            session = Session(probe, read_settings(words))
            try:
                findings = list(judge(session.gather(LISTEN_S, lambda _line: None)))
            finally:
                session.close()
            assert all(finding.fix for finding in findings if finding.level != "ok")
            return {finding.code: finding for finding in findings if finding.code}

        yield look


def test_a_healthy_robot_gives_exit_code_0_and_measured_figures(
    stub: StubProcess, robot: Robot, stub_views: list[View]
) -> None:
    words = ["sh", str(LAUNCHER), "--part", "ros", "--seconds", "6", "--json"]
    with Driver(stub_views, Habits()):
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, env=os.environ | {"LSM_PYTHON": sys.executable}
        )
    found = {finding["name"]: finding for finding in json.loads(done.stdout)["findings"]}
    problems = [finding for finding in found.values() if finding["level"] == "problem"]
    assert done.returncode == 0 and not problems, problems
    assert "from 1 (/driver)" in found["image /image"]["found"] and "rgb8" in found["image /image"]["found"]
    assert found["Calibration of /image"]["found"].startswith("fx ")
    assert found["tf of /image"]["found"].startswith("odom -> base_link -> camera_optical_frame at ")
    assert found["Node /lsm_perception"]["found"].startswith("active")
    assert "~/points (/robot)" in found["Outputs of /lsm_perception"]["found"]
    assert "all compatible" in found["QoS"]["found"]
    assert "small and" in found["Over DDS"]["found"]


def test_a_driver_that_offers_too_little_is_named_with_the_policy(
    visit: Visit, robot: Robot, stub_views: list[View]
) -> None:
    listener = robot.client.create_subscription(
        PointCloud2,
        "lsm_perception/points",
        print,
        QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL),
    )
    with Driver(stub_views, Habits(qos=BEST_EFFORT)):
        found = visit()
    robot.client.destroy_subscription(listener)
    told = found["qos.input"]
    assert told.level == "problem" and told.name == "QoS /image"
    assert told.found == "/driver to /lsm_perception: reliability (offered best effort, requested reliable)"
    assert "qos_overrides./image.subscription.reliability, or make /driver offer more" in told.fix
    told = found["qos.output"]
    assert told.found == "/lsm_perception to /robot: durability (offered volatile, requested transient local)"
    assert "Change the QoS of /robot (durability)" in told.fix


def test_an_image_without_calibration_is_told_where_one_is(visit: Visit, stub_views: list[View]) -> None:
    with Driver(stub_views, Habits(info="/elsewhere/camera_info")):
        told = visit()["camera_info.absent"]
    assert told.level == "note" and told.name == "camera_info /camera_info"
    assert told.fix.endswith("camera_info_topic:=/elsewhere/camera_info.")


def test_a_calibration_of_another_size_is_named(visit: Visit, stub_views: list[View]) -> None:
    with Driver(stub_views, Habits(info_changes=(("width", 17),))):
        told = visit()["camera_info.unused"]
    assert "camera_info" in told.found and "17" in told.found


def test_a_wrong_topic_name_is_answered_with_the_right_one(visit: Visit, stub_views: list[View]) -> None:
    habits = Habits(image="/camera/image_raw", info="/camera/camera_info")
    with Driver(stub_views, habits):
        told = visit()["topic.unpublished"]
    assert told.level == "problem" and told.name == "image /image"
    assert "image_topic:=/camera/image_raw" in told.fix


def test_a_topic_that_the_node_does_not_hear_is_told_when_it_is_named(visit: Visit, stub_views: list[View]) -> None:
    with Driver(stub_views, Habits(image="/camera/image_raw", info="/camera/camera_info")):
        told = visit("image_topic:=/camera/image_raw")["topic.elsewhere"]
    assert told.found == "/lsm_perception listens to /image"
    assert told.fix == "Start the node with image_topic:=/camera/image_raw."


def test_one_robot_of_several_is_looked_at_with_all_its_cameras(
    visit: Visit, stub_views: list[View], tmp_path: Path
) -> None:
    parameters = {"cameras": ["front", "rear"], "diagnostics_period_s": 0.3}
    other = StubProcess(tmp_path, parameters, "/robot2", ["rear/image:=back"])
    try:
        other.wait_for(ACTIVE)
        with Driver(stub_views, Habits(image="/robot2/front/image", info="/robot2/front/camera_info")):
            found = visit("namespace:=robot2")
    finally:
        other.end()
    assert found["topic.unpublished"].name == "image /robot2/back"
    assert not any("/image" in f.found and "/robot2" not in f.found for f in found.values()), found


def test_a_missing_mount_of_the_camera_is_named_with_its_frame(visit: Visit, stub_views: list[View]) -> None:
    with Driver(stub_views, Habits(mount=False)):
        told = visit()["tf.broken"]
    assert told.level == "problem"
    assert told.found == "nobody publishes the frame camera_optical_frame of the images"
    assert "--child-frame-id camera_optical_frame" in told.fix


def test_stamps_of_zero_are_named(visit: Visit, stub_views: list[View]) -> None:
    with Driver(stub_views, Habits(stamp_ns=lambda: 0)):
        told = visit()["stamp.zero"]
    assert told.level == "problem" and "header.stamp" in told.fix


def test_a_camera_whose_clock_is_off_is_named_twice_by_stamps_and_by_tf(
    visit: Visit, stub_views: list[View]
) -> None:
    with Driver(stub_views, Habits(stamp_ns=lambda: time.time_ns() + 50_000_000_000)):
        found = visit()
    assert "ahead of the machine's clock" in found["stamp.offset"].found and "chrony" in found["stamp.offset"].fix
    assert found["tf.time"].level == "problem" and "older than the image" in found["tf.time"].found


def test_simulated_time_without_a_clock_is_named(visit: Visit, robot: Robot, stub_views: list[View]) -> None:
    def simulate(value: bool) -> None:
        of = ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=value)
        reply = robot.call(SetParameters, "set_parameters", parameters=[Parameter(name="use_sim_time", value=of)])
        assert reply.results[0].successful

    simulate(True)
    try:
        with Driver(stub_views, Habits()):
            told = visit()["clock.absent"]
    finally:
        simulate(False)
    assert told.level == "problem" and "nobody publishes it" in told.found
    assert "--clock" in told.fix and "use_sim_time:=false" in told.fix


def test_a_node_that_hangs_is_told_from_one_that_is_not_there(visit: Visit, stub: StubProcess) -> None:
    stub.process.send_signal(signal.SIGSTOP)
    try:
        told = visit()["node.mute"]
    finally:
        stub.process.send_signal(signal.SIGCONT)
    assert told.level == "problem" and told.name == "Node /lsm_perception"


def test_a_node_that_is_not_active_is_named_with_the_command(visit: Visit, robot: Robot) -> None:
    def change(number: int) -> None:
        assert robot.call(ChangeState, "change_state", transition=Transition(id=number)).success

    change(Transition.TRANSITION_DEACTIVATE)
    try:
        told = visit()["node.inactive"]
    finally:
        change(Transition.TRANSITION_ACTIVATE)
    assert told.level == "problem" and told.fix.startswith("ros2 lifecycle set /lsm_perception activate")
