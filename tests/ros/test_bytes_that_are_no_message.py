"""Bytes that cannot be read as the topic's type: the middleware discards them, and the node works on."""

from __future__ import annotations

import time

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_process import StubProcess
from rclpy.serialization import serialize_message
from robot import Robot, image_message
from synthetic_world import View
from walker import Walker


def unreadable(generator: np.random.Generator, whole: bytes) -> bytes:
    """Return noise, the beginning of a message, a message of noise, or one with a text of 2 GiB, it says."""
    kinds = (
        generator.bytes(int(generator.integers(0, 200))),
        whole[: int(generator.integers(0, len(whole)))],
        whole[:4] + generator.bytes(100),
        whole[:12] + b"\xff\xff\xff\x7f" + whole[16:300],
    )
    return kinds[int(generator.integers(len(kinds)))]


def test_unreadable_bytes_on_the_inputs_change_nothing(
    stub: StubProcess, robot: Robot, stub_views: list[View]
) -> None:
    assert wait_until(
        lambda: robot.images.get_subscription_count() > 0 and robot.infos.get_subscription_count() > 0
    )
    generator = np.random.default_rng(9)
    whole = serialize_message(image_message(stub_views[0].rgb, 5))
    for _ in range(150):
        robot.images.publish(unreadable(generator, whole))
        robot.infos.publish(unreadable(generator, whole))
        time.sleep(0.003)
    walker = Walker(robot, stub_views)
    assert walker.walk_until(lambda: len(robot.messages("points")) >= 3, 40.0), stub.text[-3000:]
    assert stub.alive and "Traceback" not in stub.text
