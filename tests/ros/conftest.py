"""Plumbing of the ROS tests: an isolated domain per test process, rclpy, and waiting for things."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ros_domain import DOMAIN

if TYPE_CHECKING:
    from node_process import StubProcess
    from robot import Robot
    from synthetic_world import View

sys.path.insert(0, str(Path(__file__).parent))

os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ["ROS_PYTHON_CHECK_FIELDS"] = "1"


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> bool:
    """Wait until a condition holds; False when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


@pytest.fixture(scope="session")
def rclpy_session() -> Iterator[None]:
    """rclpy, initialised once per test process."""
    rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
    pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")
    from lsm_perception.dds_profile import use_profile

    use_profile()  # as a camera driver should: Fast DDS's own shared memory holds few images, and loses the others
    rclpy.init(args=[])
    yield
    rclpy.try_shutdown()


@pytest.fixture(scope="session")
def stub_views() -> list[View]:
    """Views that the stub process knows; stamps grow, 10 Hz."""
    from synthetic_world import walk

    return walk(40)


@pytest.fixture(scope="module")
def stub(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """An active node process with the stub backend, shared by the tests of a file: none of them may harm it."""
    from node_process import ACTIVE, StubProcess

    process = StubProcess(tmp_path_factory.mktemp("stub"), {"odometry.source": "none"})
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robot(rclpy_session: None) -> Iterator[Robot]:
    """A robot beside the stub process that hears its small outputs and the clouds."""
    from robot import Robot

    client = Robot(("keyframes", "pair_pose", "points", "scale", "diagnostics"))
    yield client
    client.close()
