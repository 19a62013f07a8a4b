"""The viewer outlives the node, and begins a new scene with the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")

from conftest import wait_until
from lsm_perception.viewer import scene as layers
from lsm_perception.viewer.errors import ViewerError
from node_process import ACTIVE, StubProcess
from robot import Robot
from synthetic_world import View
from viewer_beside import Beside
from walker import Walker

pytestmark = pytest.mark.ros


@pytest.fixture
def beside(rclpy_session: None) -> Iterator[Beside]:
    viewer = Beside()
    yield viewer
    viewer.close()


def test_a_node_that_is_stopped_and_started_again_begins_a_new_scene(
    robot: Robot, stub_views: Sequence[View], beside: Beside, tmp_path: Path
) -> None:
    walker = Walker(robot, stub_views)
    beside.link.watch(True, splats=False)

    def filled() -> bool:
        return len(beside.scene.keyframes()) >= 2 and beside.has(layers.PATH, layers.CLOUD)

    def node(name: str) -> StubProcess:
        folder = tmp_path / name
        folder.mkdir()
        process = StubProcess(folder, {"odometry.source": "none"})
        process.wait_for(ACTIVE)
        return process

    first = node("first")
    try:
        assert walker.walk_until(filled, 60)
    finally:
        first.end()
    assert wait_until(lambda: not beside.link.connected, 30)
    assert filled()  # the last it said stays to be looked at
    with pytest.raises(ViewerError, match="not running"):
        beside.asking.ask("door", None)
    generation = beside.scene.generation
    second = node("second")
    try:
        assert wait_until(lambda: beside.link.connected and beside.scene.generation > generation, 30)
        assert walker.walk_until(filled, 60)
        assert beside.scene.keyframes()[0].id <= 3  # the new node counts from 1
        assert beside.asking.ask("floor", None).presence[0] > 0.5
    finally:
        second.end()
