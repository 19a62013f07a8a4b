"""The watchdog in the real process: each cause of silence in one log line and /diagnostics; a camera per cause."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from diagnosis import diagnosed, newest
from lifecycle_msgs.srv import ChangeState
from node_process import ACTIVE, StubProcess
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from robot import Robot
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import String
from synthetic_world import View
from walker import Walker

CAMERAS = ["alone", "squeezed", "typed", "strict", "mute", "good"]
DEACTIVATE, ACTIVATE = 4, 3


@pytest.fixture(scope="module")
def watched(operator: Robot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """A node that listens to a camera per cause; they are there before it."""
    parameters = {
        "cameras": CAMERAS,
        "input.no_data_s": 1.0,
        "diagnostics_period_s": 0.5,
        "qos_overrides./strict/image.subscription.reliability": "reliable",
    }
    process = StubProcess(tmp_path_factory.mktemp("watched"), parameters)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def operator(rclpy_session: None) -> Iterator[Robot]:
    """The good camera, and publishers that do not fit on the topics of the others."""
    client = Robot(("diagnostics", "keyframes"), camera="good", name="front_camera")
    client.client.create_publisher(CompressedImage, "squeezed/image/compressed", 1)
    client.client.create_publisher(String, "typed/image", 1)
    client.client.create_publisher(Image, "strict/image", qos_profile_sensor_data)
    client.client.create_publisher(Image, "mute/image", 1)
    yield client
    client.close()


def test_nobody_publishes(watched: StubProcess, operator: Robot) -> None:
    found = diagnosed(operator, "camera alone", lambda d: d.level == 1)
    assert found.message.startswith("no image on /alone/image for ") and "nobody publishes it" in found.message
    watched.wait_for("No image on /alone/image for")
    assert "remap 'image' or set image_topic. See docs/troubleshooting.md#no-images" in watched.text


def test_the_pictures_are_compressed(watched: StubProcess, operator: Robot) -> None:
    wanted = "/squeezed/image/compressed has publishers 1 (/front_camera): set image_transport:=compressed"
    diagnosed(operator, "camera squeezed", lambda d: d.level == 1 and wanted in d.message)
    watched.wait_for(wanted)


def test_another_type_has_the_topic(watched: StubProcess, operator: Robot) -> None:
    wanted = "publishers 1 (/front_camera) send std_msgs/msg/String, this node takes sensor_msgs/msg/Image there"
    diagnosed(operator, "camera typed", lambda d: d.level == 1 and wanted in d.message)
    watched.wait_for(wanted)


def test_qos_does_not_fit(watched: StubProcess, operator: Robot) -> None:
    wanted = (
        "publishers 1 (/front_camera) have incompatible QoS: reliability (offered best effort, requested "
        "reliable); change qos_overrides./strict/image.subscription.reliability"
    )
    diagnosed(operator, "camera strict", lambda d: d.level == 1 and wanted in d.message)
    watched.wait_for(wanted)


def test_publishers_that_fit_are_silent(watched: StubProcess, operator: Robot) -> None:
    wanted = "publishers 1 (/front_camera) have compatible QoS, but no message comes"
    diagnosed(operator, "camera mute", lambda d: d.level == 1 and wanted in d.message)
    watched.wait_for(wanted)


def test_each_cause_is_logged_once(watched: StubProcess, operator: Robot) -> None:
    before = len(operator.messages("diagnostics"))
    assert wait_until(lambda: len(operator.messages("diagnostics")) > before + 6)
    for camera in CAMERAS[:-1]:
        # The cause may change once, while the node discovers the publishers; it is not repeated.
        lines = [line for line in watched.text.splitlines() if f"No image on /{camera}/image" in line]
        assert 1 <= len(lines) <= 2, watched.text


def test_images_without_calibration_and_odometry_are_used_and_said_so(
    watched: StubProcess, operator: Robot, stub_views: list[View]
) -> None:
    operator.client.destroy_publisher(operator.infos)
    done = lambda: newest(operator, "camera good").values.get("calibration", "").startswith("image-only: no ")  # noqa: E731
    deadline = time.monotonic() + 20
    index = 0
    while time.monotonic() < deadline and not (
        done() and "/good/camera_info" in watched.text and newest(operator, "scale good").values.get("reason")
    ):
        operator.send(replace(stub_views[index % 25], stamp_ns=time.time_ns()), info=False)
        index += 1
        time.sleep(0.1)
    found = newest(operator, "camera good")
    assert found.level == 0 and found.message == "images arrive", found
    assert found.values["calibration"].startswith("image-only: no ")
    assert found.values["publishers"] == "1" and 0 <= float(found.values["image_age_s"]) < 5
    assert abs(float(found.values["stamp_offset_s"])) < 5
    assert "There is image on /good/image now." in watched.text
    wanted = "(the focal length is estimated): nobody publishes it"
    assert "No camera_info on /good/camera_info for " in watched.text and wanted in watched.text
    assert newest(operator, "scale good").message.startswith("scale unknown: no odometry: ")


def test_stamps_behind_the_clock_are_named(watched: StubProcess, operator: Robot, stub_views: list[View]) -> None:
    parameter = Parameter("input.max_age_s", value=1.0).to_parameter_msg()
    assert operator.call(SetParameters, "set_parameters", parameters=[parameter]).results[0].successful
    view = replace(stub_views[30], stamp_ns=time.time_ns() - 20_000_000_000)
    assert wait_until(lambda: operator.send(view, info=False) or "dropped as stale" in watched.text)  # type: ignore[func-returns-value]
    assert "Images are 20." in watched.text and "input.max_age_s" in watched.text
    diagnosed(operator, "camera good", lambda d: "s behind this node's clock" in d.message)
    diagnosed(operator, "input", lambda d: int(d.values.get("dropped.stale", "0")) > 0)
    parameter = Parameter("input.max_age_s", value=0.0).to_parameter_msg()
    assert operator.call(SetParameters, "set_parameters", parameters=[parameter]).results[0].successful


def test_calibration_that_comes_is_reported(watched: StubProcess, operator: Robot, stub_views: list[View]) -> None:
    operator.infos = operator.client.create_publisher(CameraInfo, "good/camera_info", 10)
    assert wait_until(lambda: operator.infos.get_subscription_count() > 0)
    for index, view in enumerate(stub_views[:25]):
        operator.send(replace(view, stamp_ns=time.time_ns() + index))
        time.sleep(0.1)
    diagnosed(operator, "camera good", lambda d: d.values.get("calibration") == "calibrated")
    watched.wait_for("There is camera_info on /good/camera_info now.")
    walker = Walker(operator, stub_views, start_ns=time.time_ns())
    assert walker.walk_until(lambda: "No metres from camera good yet: no odometry: " in watched.text)
    assert watched.text.count("No metres from camera good") == 1


def test_an_inactive_node_says_so(watched: StubProcess, operator: Robot) -> None:
    request = ChangeState.Request()
    request.transition.id = DEACTIVATE
    assert operator.call(ChangeState, "change_state", transition=request.transition).success
    found = diagnosed(operator, "input", lambda d: "inactive" in d.message)
    assert found.message == "not listening: the node is inactive; activate it"
    request.transition.id = ACTIVATE
    assert operator.call(ChangeState, "change_state", transition=request.transition).success
    diagnosed(operator, "input", lambda d: "inactive" not in d.message)
    assert watched.alive and "Traceback" not in watched.text


def test_simulated_time_without_a_clock_is_named(rclpy_session: None, tmp_path: Path) -> None:
    parameters = {"use_sim_time": True, "input.no_data_s": 0.5}
    process = StubProcess(tmp_path, parameters)
    try:
        process.wait_for(ACTIVE)
        process.wait_for("use_sim_time is true and nothing comes on /clock (nobody publishes it)")
        assert process.alive
    finally:
        process.end()
