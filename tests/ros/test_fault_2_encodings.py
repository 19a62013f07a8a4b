"""Fault 2: unknown, empty and lying encodings are refused and named; big-endian 16 bit is read."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fault_check import FaultCheck
from node_process import StubProcess
from raw_pictures import encoded
from robot import FRAME, Robot, image_message
from std_msgs.msg import Header
from synthetic_world import HEIGHT, WIDTH, View


@pytest.fixture(scope="module")
def fault(stub: StubProcess, robot: Robot, stub_views: list[View]) -> FaultCheck:
    check = FaultCheck(stub, robot, stub_views)
    check.works()
    return check


@pytest.mark.parametrize(
    "encoding", ["", "rgb9", "RGB8", "32FC1", "16UC1", "nv21", "bayer_rggb8 ", "jpeg", "é" * 300]
)
def test_an_unknown_encoding_is_refused(fault: FaultCheck, encoding: str) -> None:
    view = fault.walker.next()
    message = image_message(view.rgb, view.stamp_ns)
    message.encoding = encoding
    fault.refuses(message, "bad_encoding")


def test_the_log_names_the_encoding_and_those_that_are_supported(fault: FaultCheck) -> None:
    assert fault.logged("is not supported", "rgb8, ") or fault.logged("is not supported", "rgb8")
    assert fault.logged("mono16") and fault.logged("bayer_grbg16") and fault.logged("yuv422_yuy2")
    assert wait_until(lambda: fault.diagnosed("dropped.bad_encoding"))
    fault.works()


def test_grey_data_that_claim_to_be_colour_are_a_size_that_does_not_fit(fault: FaultCheck) -> None:
    view = fault.walker.next()
    message = image_message(view.rgb, view.stamp_ns)
    message.data, message.step = array("B", bytes(WIDTH * HEIGHT)), WIDTH
    fault.refuses(message, "bad_size")
    message = image_message(view.rgb, view.stamp_ns + 1)
    message.data, message.encoding = array("B", bytes(WIDTH * HEIGHT)), "rgba8"
    fault.refuses(message, "bad_size")
    fault.works()


@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
def test_sixteen_bits_are_read_in_either_byte_order(fault: FaultCheck, robot: Robot, big: bool) -> None:
    """Grey of the room is no view that the stub knows, but it is a good image: it becomes a keyframe."""
    view = fault.walker.next()
    noise = np.random.default_rng(int(big)).integers(0, 40, view.rgb.shape, dtype=np.uint8)
    header = Header(frame_id=FRAME)
    header.stamp.sec, header.stamp.nanosec = divmod(view.stamp_ns, 10**9)
    message = encoded(cv2.add(view.rgb, noise), "mono16", big=big, header=header)
    change = fault.deliver(message)
    assert change == {"delivered": 1, "used": 1}, change
    fault.works()
