"""Plumbing of the ROS tests: an isolated domain per test process, and stub nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
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
