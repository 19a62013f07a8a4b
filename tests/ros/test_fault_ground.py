"""The stub process works on good images over DDS: the ground on which the fault tests stand."""

from __future__ import annotations

import time

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_process import StubProcess
from robot import Robot
from synthetic_world import View


def test_a_walk_gives_keyframes_and_clouds(stub: StubProcess, robot: Robot, stub_views: list[View]) -> None:
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    for view in stub_views[:14]:
        robot.send(view)
        time.sleep(0.1)
    assert wait_until(lambda: len(robot.messages("points")) >= 2), stub.text
    assert all(pair.accepted for pair in robot.messages("pair_pose"))
    assert stub.alive and "Traceback" not in stub.text
