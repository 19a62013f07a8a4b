"""Fault 5: size, encoding, frame_id or K change in mid-stream: a fresh start and no mixed pair."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fault_check import FaultCheck
from lsm_perception.conversions import stamp_to_ns
from lsm_perception_msgs.msg import Keyframe
from node_process import StubProcess
from robot import FRAME, Robot, camera_info, image_message
from sensor_msgs.msg import CameraInfo, Image
from synthetic_world import HEIGHT, WIDTH, K, View

NARROW = {"k": [float(v) for v in (K * [[1.25, 1, 1], [1, 1.25, 1], [1, 1, 1]]).ravel()]}


@pytest.fixture(scope="module")
def fault(stub: StubProcess, robot: Robot, stub_views: list[View]) -> Iterator[FaultCheck]:
    check = FaultCheck(stub, robot, stub_views)
    check.works()
    yield check
    check.works()


def half(view: View) -> Image:
    return image_message(cv2.resize(view.rgb, (WIDTH // 2, HEIGHT // 2)), view.stamp_ns)


def as_bgr(view: View) -> Image:
    message = image_message(view.rgb, view.stamp_ns)
    message.encoding = "bgr8"
    message.data = array("B", np.ascontiguousarray(view.rgb[..., ::-1]).tobytes())
    return message


def half_info(view: View) -> CameraInfo:
    K_half = np.diag([0.5, 0.5, 1.0]) @ K
    return camera_info(view.stamp_ns, width=WIDTH // 2, height=HEIGHT // 2, k=[float(v) for v in K_half.ravel()])


Change = tuple[Callable[[View], Image], Callable[[View], CameraInfo], str]
CHANGES: dict[str, Change] = {
    "resolution": (half, half_info, "another size"),
    "encoding": (as_bgr, lambda v: camera_info(v.stamp_ns), "another size, encoding or frame_id"),
    "frame_id": (
        lambda v: image_message(v.rgb, v.stamp_ns, "other_optical_frame"),
        lambda v: camera_info(v.stamp_ns, "other_optical_frame"),
        "frame_id",
    ),
    "calibration": (
        lambda v: image_message(v.rgb, v.stamp_ns),
        lambda v: camera_info(v.stamp_ns, **NARROW),
        "camera_info has changed",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_starts_anew_and_no_pair_is_mixed(fault: FaultCheck, robot: Robot, name: str) -> None:
    make, info, words = CHANGES[name]
    fault.works()
    robot.forget()
    change_ns = 0
    for _ in range(12):
        view = fault.walker.next()
        change_ns = change_ns or view.stamp_ns
        robot.infos.publish(info(view))
        wait_until(lambda: False, 0.1)  # the calibration is there before the image
        fault.publish(make(view))
    fault.settled()
    assert wait_until(lambda: bool(robot.messages("keyframes")))
    said = robot.messages("keyframes")
    added = [m for m in said if m.action == Keyframe.ADDED and stamp_to_ns(m.header.stamp) >= change_ns]
    assert added[0].reason == Keyframe.REASON_FIRST
    assert any(m.action == Keyframe.REMOVED and m.reason == Keyframe.REASON_RESET for m in said)
    for pair in robot.messages("pair_pose"):
        older_ns, newer_ns = stamp_to_ns(pair.reference_stamp), stamp_to_ns(pair.header.stamp)
        assert (older_ns >= change_ns) == (newer_ns >= change_ns)
        assert pair.reference_image_frame == pair.image_frame
    assert fault.logged("Starting anew", words)


def test_changing_back_and_forth_never_pairs_across(fault: FaultCheck, robot: Robot) -> None:
    robot.forget()
    for index in range(10):
        view = fault.walker.next()
        frame = FRAME if index % 2 else "other_optical_frame"
        robot.infos.publish(camera_info(view.stamp_ns, frame))
        fault.publish(image_message(view.rgb, view.stamp_ns, frame))
        wait_until(lambda: False, 0.1)
    fault.settled()
    # An image that was lost or dropped leaves two neighbours of one camera; those may pair.
    assert all(pair.reference_image_frame == pair.image_frame for pair in robot.messages("pair_pose"))
    added = [m for m in robot.messages("keyframes") if m.action == Keyframe.ADDED]
    assert len(added) >= 5 and sum(m.reason == Keyframe.REASON_FIRST for m in added) >= 4
