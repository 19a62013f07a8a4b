"""Fault 6: camera_info absent, zero, of another size or frame: image-only, stated; a fisheye is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fault_check import FaultCheck
from node_process import StubProcess
from robot import Robot, camera_info, image_message
from std_msgs.msg import Header
from synthetic_world import WIDTH, View

NAN = float("nan")


@pytest.fixture(scope="module")
def fault(stub: StubProcess, robot: Robot, stub_views: list[View]) -> FaultCheck:
    return FaultCheck(stub, robot, stub_views)


def send(fault: FaultCheck, count: int, **changes: Any) -> None:
    """Send images beside a camera_info that is wrong in some way."""
    for _ in range(count):
        view = fault.walker.next()
        fault.robot.infos.publish(camera_info(view.stamp_ns, **changes))
        wait_until(lambda: False, 0.1)  # the calibration is there before the image
        fault.publish(image_message(view.rgb, view.stamp_ns))


def test_without_camera_info_the_node_works_and_says_so(fault: FaultCheck, robot: Robot) -> None:
    def paired() -> bool:
        return any(m.accepted for m in robot.messages("pair_pose"))

    for _ in range(30):
        view = fault.walker.next()
        fault.publish(image_message(view.rgb, view.stamp_ns))
        if wait_until(paired, 0.15):
            break
    assert paired()
    assert fault.complained("image-only", "no camera_info has come")


UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "zero": ({"k": [0.0] * 9}, "uncalibrated"),
    "other size": ({"width": 2 * WIDTH}, "640x240"),
    "other frame": ({"header": Header(frame_id="another_camera")}, "another_camera"),
    "not finite": ({"k": [NAN] * 9}, "not finite"),
    "no focal length": ({"k": [1e-9, 0.0, 1.0, 0.0, 1e-9, 1.0, 0.0, 0.0, 1.0]}, "focal length"),
}


def calibrated_again(fault: FaultCheck, robot: Robot) -> None:
    """Send good images and calibrations until the node says so: an image may overtake its calibration."""
    for _ in range(20):
        fault.step()
        if wait_until(lambda: newest(robot) == "calibrated", 1.5):
            return
    raise AssertionError(newest(robot))


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_is_named_and_never_used(fault: FaultCheck, robot: Robot, name: str) -> None:
    changes, words = UNUSABLE[name]
    calibrated_again(fault, robot)
    before = fault.counts()
    send(fault, 6, **changes)
    assert wait_until(lambda: newest(robot).startswith("image-only") and words in newest(robot)), newest(robot)
    after = fault.settled()
    assert after["delivered"] > before["delivered"] and "bad_camera_info" not in after
    if name != "zero":  # a camera that says it is uncalibrated is no fault
        assert fault.complained(words)
    fault.works()
    calibrated_again(fault, robot)


@pytest.mark.parametrize("model", ["equidistant", "fisheye"])
def test_a_fisheye_is_refused_by_name(fault: FaultCheck, robot: Robot, model: str) -> None:
    fault.works()
    before = fault.counts().get("bad_camera_info", 0)
    send(fault, 4, distortion_model=model, d=[0.1, 0.0, 0.0, 0.0])
    assert wait_until(lambda: fault.counts().get("bad_camera_info", 0) > before)
    assert fault.complained(model, "cannot be undone")
    assert wait_until(lambda: newest(robot).startswith("refused") and model in newest(robot)), newest(robot)
    assert wait_until(lambda: fault.diagnosed("dropped.bad_camera_info"))
    fault.works()
    assert fault.logged("WARN", "cannot be undone") or fault.logged("WARN", "camera_info")


def newest(robot: Robot) -> str:
    """Return the calibration state in the newest diagnostics."""
    for message in reversed(robot.messages("diagnostics")[-2:]):
        for status in message.status:
            for value in status.values:
                if value.key.endswith("calibration"):
                    return str(value.value)
    return ""


def test_camera_info_of_no_frame_belongs_to_any_image(fault: FaultCheck, robot: Robot) -> None:
    send(fault, 4, header=Header())
    assert wait_until(lambda: newest(robot) == "calibrated"), newest(robot)
