"""Fault 1: data, step and size that do not fit, sides of 0 and 2^31: bad_size, and nothing is allocated for it."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Any

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fault_check import FaultCheck
from node_process import StubProcess
from robot import Robot, image_message
from sensor_msgs.msg import Image
from synthetic_world import HEIGHT, WIDTH, View

BYTES = HEIGHT * WIDTH * 3
GROWTH_MIB = 64.0  # a picture of 2^31 columns would be gigabytes


@pytest.fixture(scope="module")
def fault(stub: StubProcess, robot: Robot, stub_views: list[View]) -> FaultCheck:
    check = FaultCheck(stub, robot, stub_views)
    check.works()
    return check


def changed(view: View, **fields: Any) -> Image:
    message = image_message(view.rgb, view.stamp_ns)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


SIZES: dict[str, Callable[[View], Image]] = {
    "no data": lambda v: changed(v, data=array("B")),
    "one byte short": lambda v: changed(v, data=array("B", bytes(BYTES - 1))),
    "one byte long": lambda v: changed(v, data=array("B", bytes(BYTES + 1))),
    "step below a row": lambda v: changed(v, step=WIDTH * 3 - 1),
    "step of 2^32 - 1": lambda v: changed(v, step=2**32 - 1),
    "no width": lambda v: changed(v, width=0),
    "no height": lambda v: changed(v, height=0),
    "width of 2^31": lambda v: changed(v, width=2**31),
    "height of 2^31": lambda v: changed(v, height=2**31),
    "all of 2^32 - 1": lambda v: changed(v, width=2**32 - 1, height=2**32 - 1, step=2**32 - 1),
    "product that wraps to 0": lambda v: changed(v, width=2**16, height=2**16, step=0, data=array("B")),
    "above the cap": lambda v: changed(v, width=16_000, height=16_000),
    "width of 15": lambda v: changed(v, width=15, step=45, data=array("B", bytes(45 * HEIGHT))),
}


def test_every_size_that_does_not_fit_is_refused_and_the_next_image_works(
    fault: FaultCheck, stub: StubProcess, robot: Robot
) -> None:
    before = stub.resident_mib()
    for name, make in SIZES.items():
        fault.refuses(make(fault.walker.next()), "bad_size")
        assert stub.resident_mib() < before + GROWTH_MIB, name
    assert fault.logged("WARN", "data has 0 bytes, step x height is")
    assert fault.complained("outside 16 to 16384 pixels")
    assert wait_until(lambda: fault.diagnosed("dropped.bad_size"))
    lines = sum("Fix:" in line or "pixels" in line for line in stub.text.splitlines())
    assert lines <= 2 * len(SIZES)
    fault.works()
