"""The viewer outlives the node, and begins a new scene with the next one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")

from lsm_perception.viewer import scene as layers
from lsm_perception.viewer.asking import COLOUR, DEPTH, FEATURES, KINDS, WORDS
from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.lens import Lens
from node_process import ACTIVE, StubProcess
from robot import Robot
from synthetic_world import K, View
from viewer_beside import Beside
from waiting import wait_until
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
        process = StubProcess(folder, {"odometry.source": "none", "map_directory": str(folder)})
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
        check_drawing(beside)
        check_saving(beside, tmp_path / "second")
    finally:
        second.end()


def check_drawing(beside: Beside) -> None:
    """The node's drawing from the newest keyframe's place shows what that keyframe does."""
    path = beside.scene.get(layers.PATH)
    T_map_cam = next(reversed(path.T_map_cam.values()))
    lens = Lens(fx=K[0, 0] / 2, fy=K[1, 1] / 2, width=160, height=120)
    pictures = {kind: beside.asking.draw(kind, T_map_cam, lens, "floor") for kind in KINDS}
    assert all(picture.shape == (120, 160, 3) for picture, _ in pictures.values())
    covered = pictures[DEPTH][0].any(axis=-1)
    assert covered.mean() > 0.5
    changed = pictures[WORDS][0].astype(int) - pictures[COLOUR][0]
    marked = np.abs(changed).max(axis=-1) > 40
    assert marked[90:].mean() > 0.3 > marked[:30].mean() and "floor" in pictures[WORDS][1]  # the floor is below
    assert pictures[FEATURES][0][covered].std() > 10


def check_saving(beside: Beside, folder: Path) -> None:
    """A map is saved where the node keeps maps, not over another one unless so wished, and comes back."""
    assert str(folder / "room.lsmmap") in beside.asking.save("room", "map", False)
    with pytest.raises(ViewerError, match=r"\([a-z_]+\)"):
        beside.asking.save("room", "map", False)
    assert (folder / "room.lsmmap").stat().st_size > 1000
    beside.asking.save("room", "map", True)
    with pytest.raises(ViewerError, match="not_found"):
        beside.asking.load("nothing")
    names = [(k.id, k.stamp_ns) for k in beside.scene.keyframes()]
    before = beside.scene.version(layers.KEYFRAMES)
    assert "keyframes" in beside.asking.load("room")
    # They go, and come again from the file.
    assert wait_until(lambda: beside.scene.version(layers.KEYFRAMES) >= before + 2 * len(names), 30)
    assert wait_until(lambda: [(k.id, k.stamp_ns) for k in beside.scene.keyframes()] == names, 30), (
        names,
        beside.scene.keyframes(),
    )
