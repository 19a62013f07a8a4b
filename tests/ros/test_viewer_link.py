"""The viewer without a browser beside a real node: data reach its scene, and questions are answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception.viewer", reason="the workspace is not built: ./run setup")

from lsm_perception.viewer import scene as layers
from lsm_perception.viewer.asking import COLOUR
from lsm_perception.viewer.errors import ViewerError
from lsm_perception.viewer.lens import Lens
from lsm_perception.viewer.options import ViewerOptions
from lsm_perception.viewer.pictures import answer_picture
from lsm_perception.viewer.ros_link import HEAVY, RosLink
from lsm_perception.viewer.scene import Scene
from lsm_perception.viewer.text import answer_text, status_text
from node_process import StubProcess
from robot import Robot
from synthetic_world import K, View
from viewer_beside import MOST, Beside
from waiting import wait_until
from walker import Walker

pytestmark = pytest.mark.ros


@pytest.fixture
def beside(rclpy_session: None) -> Iterator[Beside]:
    viewer = Beside()
    yield viewer
    viewer.close()


def heard(link: RosLink) -> set[str]:
    """Return the node's own topics that the viewer listens to."""
    ours = link.get_subscriber_names_and_types_by_node("lsm_viewer", "/")
    return {name.removeprefix("/lsm_perception/") for name, _ in ours}


def test_everything_reaches_the_scene_and_questions_are_answered(
    stub: StubProcess, robot: Robot, stub_views: Sequence[View], beside: Beside
) -> None:
    walker = Walker(robot, stub_views)
    scene, link = beside.scene, beside.link
    assert wait_until(lambda: link.connected, 20)
    assert walker.walk_until(lambda: len(scene.keyframes()) >= 2 and beside.has(layers.PATH))
    # Nobody looks: what is heavy is not even asked for.
    assert heard(link).isdisjoint({*HEAVY, "gaussians", "/image"}) and not beside.has(layers.CLOUD)
    assert beside.asking.keep_looking("wall, floor; door") == ["wall", "floor", "door"]
    link.watch(True, splats=True)

    def complete() -> bool:
        newest = scene.get(layers.CLOUD)
        return (
            beside.has(layers.CLOUD, layers.MAP, layers.SPLATS, layers.OVERLAY)
            and scene.place(newest.source) is not None
            and scene.thumbnail(newest.source.stamp_ns) is not None
            and link.lens.fy == K[1, 1]
        )

    assert walker.walk_until(complete, 60)
    cloud, splats = scene.get(layers.CLOUD), scene.get(layers.SPLATS)
    assert 0 < len(cloud) <= MOST and 0 < len(splats) <= MOST and len(scene.get(layers.MAP)) <= MOST
    sizes = np.sqrt(np.linalg.eigvalsh(splats.covariances.astype(np.float64)))
    np.testing.assert_allclose(sizes, np.median(sizes), rtol=1e-3)  # the stub's are balls of one size
    pictures = [scene.thumbnail(k.stamp_ns) for k in scene.keyframes()]
    assert any(picture is not None and picture.shape == (240, 320, 3) for picture in pictures)

    newest = scene.keyframes()[-1]
    answer = beside.asking.ask("floor; window , floor", None)
    assert answer.texts == ("floor", "window") and answer.keyframe_id >= newest.id
    assert answer.presence[0] > 0.5 and answer.pixels[0] > 1000 and len(answer.cloud) > 50
    floor = answer.cloud.points[answer.cloud.labels == 0]
    assert scene.answer_in_place() is not None and np.ptp(floor[:, 1]) < 0.1 * np.ptp(floor[:, 2])  # it is level
    assert beside.asking.ask("door", newest.id).keyframe_id == newest.id  # of the timeline
    marked = answer_picture(answer, np.zeros((120, 160, 3), np.uint8)).any(axis=-1)
    np.testing.assert_allclose(marked.mean(), (answer.labels != 255).mean(), atol=0.02)
    assert "floor" in answer_text(answer) and f"Keyframe {answer.keyframe_id}" in answer_text(answer)

    link.watch(False, splats=False)
    assert wait_until(lambda: heard(link).isdisjoint({*HEAVY, "gaussians", "/image"}), 20)


def test_wishes_that_cannot_be_met_say_why(stub: StubProcess, beside: Beside) -> None:
    assert wait_until(lambda: beside.link.connected, 20)
    for line in ("", " , ;"):
        with pytest.raises(ViewerError, match="Type what to look for"):
            beside.asking.ask(line, None)
    with pytest.raises(ViewerError, match=r"\(not_found\)"):
        beside.asking.ask("door", 10**9)
    with pytest.raises(ViewerError, match="no map"):
        beside.asking.draw(COLOUR, np.eye(4), Lens(), "")
    with pytest.raises(ViewerError, match="name"):
        beside.asking.save(" ", "map", False)
    with pytest.raises(ViewerError, match=r"\([a-z_]+\)"):  # the node's own words and code
        beside.asking.save("../outside", "map", False)


def test_a_node_that_is_not_there_is_told(beside: Beside) -> None:
    lonely = ViewerOptions(node="nobody")
    link = RosLink(Scene(), lonely)
    with pytest.raises(ViewerError, match="/nobody does not answer"):
        link.call("query_text", None)
    assert "not there" in status_text(link.node_name, link.connected, Scene().scale, [], None)
    link.destroy_node()
