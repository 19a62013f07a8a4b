"""~/markers over DDS: boxes equal the detections, keyframes stand where the path has them, resets take all back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import Harness
from lsm_perception.conversions.poses import matrix_from_pose
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.marker_outputs import MarkerBoard
from lsm_perception_msgs.srv import Reset
from std_msgs.msg import Header
from synthetic_world import View, walk
from visualization_msgs.msg import Marker, MarkerArray

LISTEN = ("keyframes", "pair_pose", "path", "detections", "markers", "scale")
SPACES = {"keyframes", "path", "boxes", "labels"}


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(16)


def walked(views: list[View], odometry: bool) -> Harness:
    """Return a node after a walk through the room."""
    harness = Harness(FakeBackend(views), {"queries.texts": ["wall", "cabinet"]}, listen=LISTEN)
    harness.wait_active()
    harness.wait_connected(*LISTEN)
    if odometry:
        harness.send_odometry(views)
    harness.walk(views)
    assert wait_until(lambda: len(harness.messages("markers")) >= 3)
    return harness


@pytest.fixture(scope="module")
def unscaled(rclpy_session: None, views: list[View]) -> Harness:
    """A node that was closed after its walk: the next one listens to the same topics."""
    harness = walked(views, odometry=False)
    try:
        assert wait_until(lambda: len(stamps(harness, "path")) >= 4)
    finally:
        harness.close()
    return harness


@pytest.fixture(scope="module")
def metric(rclpy_session: None, views: list[View], unscaled: Harness) -> Iterator[Harness]:
    harness = walked(views, odometry=True)
    assert wait_until(lambda: len(stamps(harness, "detections")) >= 3)
    yield harness
    harness.close()


def of(message: MarkerArray, space: str) -> list[Marker]:
    return [m for m in message.markers if m.ns == space]


def by_stamp(node: Harness, name: str) -> dict[int, object]:
    first = (lambda m: m.markers[0]) if name == "markers" else (lambda m: m)
    return {stamp_to_ns(first(m).header.stamp): m for m in node.messages(name)}


def stamps(node: Harness, name: str) -> list[int]:
    """Return the stamps for which there are markers, the path, and a message of this name."""
    names = (name, "markers", "path")
    return sorted(set.intersection(*(set(by_stamp(node, n)) for n in names)))


def test_boxes_are_the_detections_in_the_maps_frame(metric: Harness) -> None:
    for stamp in stamps(metric, "detections"):
        message, found = by_stamp(metric, "markers")[stamp], by_stamp(metric, "detections")[stamp].detections
        T_map_cam = matrix_from_pose(by_stamp(metric, "path")[stamp].poses[-1].pose)
        boxes, labels = of(message, "boxes"), of(message, "labels")
        assert len(boxes) == len(labels) == len(found) >= 1
        for box, label, detection in zip(boxes, labels, found, strict=True):
            assert (box.type, label.type) == (Marker.CUBE, Marker.TEXT_VIEW_FACING)
            assert box.header.frame_id == label.header.frame_id == "lsm_map"
            wanted = T_map_cam @ matrix_from_pose(detection.bbox.center)
            assert np.allclose(matrix_from_pose(box.pose), wanted, atol=1e-5) and label.pose == box.pose
            assert box.scale == detection.bbox.size and 0 < box.color.a < 1
            hypothesis = detection.results[0].hypothesis
            assert label.text == f"{hypothesis.class_id} {detection.id} {hypothesis.score:.2f}"
            assert label.scale.z > 0


@pytest.mark.parametrize("kind", ["metric", "unscaled"])
def test_frustums_stand_at_the_poses_of_the_path(
    kind: str, views: list[View], request: pytest.FixtureRequest
) -> None:
    node = request.getfixturevalue(kind)
    stamp = stamps(node, "path")[-1]
    message, path = by_stamp(node, "markers")[stamp], by_stamp(node, "path")[stamp]
    frustums = of(message, "keyframes")
    frame = "lsm_map" if kind == "metric" else "lsm_map_unscaled"
    assert {m.header.frame_id for m in message.markers} == {path.header.frame_id} == {frame}
    heard = np.stack([matrix_from_pose(m.pose) for m in frustums])
    assert len(heard) >= 4 and len({m.id for m in frustums}) == len(heard)
    assert np.allclose(heard, np.stack([matrix_from_pose(p.pose) for p in path.poses]), atol=1e-5)
    (line,) = of(message, "path")
    places = np.array([(p.x, p.y, p.z) for p in line.points])
    assert line.type == Marker.LINE_STRIP and np.allclose(places, heard[:, :3, 3], atol=1e-5)

    lines = np.array([(p.x, p.y, p.z) for p in frustums[-1].points]).reshape(-1, 2, 3)
    assert frustums[-1].type == Marker.LINE_LIST and len(lines) == 8
    assert np.allclose(lines[:4, 0], 0)  # four rays from the camera, around what its image shows
    corners = lines[:4, 1] / lines[:4, 1, 2:]
    assert np.allclose(np.abs(corners[:, 0]), 160 / 260, rtol=0.1), corners  # 320 pixels wide, focal length 260
    assert (lines[:4, 1, 2] > 0).all()


def test_each_message_says_all_and_deletes_what_was(metric: Harness, unscaled: Harness) -> None:
    for message in (*metric.messages("markers"), *unscaled.messages("markers")):
        assert message.markers[0].action == Marker.DELETEALL
        rest = message.markers[1:]
        assert all(m.action == Marker.ADD and m.ns in SPACES for m in rest)
        assert len({(m.ns, m.id) for m in rest}) == len(rest)


def test_there_are_no_boxes_without_metres(metric: Harness, unscaled: Harness) -> None:
    messages = [*metric.messages("markers"), *unscaled.messages("markers")]
    relative = [m for m in messages if {n.header.frame_id for n in m.markers} == {"lsm_map_unscaled"}]
    assert relative and any(of(m, "keyframes") for m in relative)
    assert not any(of(m, space) for m in relative for space in ("boxes", "labels"))
    assert all(m in relative for m in unscaled.messages("markers"))


def test_reset_takes_everything_back(metric: Harness) -> None:  # last: the walk's map is gone then
    assert metric.messages("markers")[-1].markers[1:]
    assert metric.call(Reset, "reset").success
    assert wait_until(lambda: len(metric.messages("markers")[-1].markers) == 1)
    assert metric.messages("markers")[-1].markers[0].action == Marker.DELETEALL


class _Heard:
    """Keeps what a board publishes."""

    def __init__(self) -> None:
        self.messages: list[MarkerArray] = []

    def publish(self, name: str, message: MarkerArray) -> None:
        assert name == "markers"
        self.messages.append(message)


def test_a_camera_does_not_delete_what_another_one_shows() -> None:
    heard = _Heard()
    board = MarkerBoard(heard)  # type: ignore[arg-type]
    board.show("left", [Marker(ns="left/keyframes", id=1)], Header(frame_id="left_lsm_map"))
    board.show("right", [Marker(ns="right/keyframes", id=2)], Header(frame_id="right_lsm_map"))
    assert [m.ns for m in heard.messages[-1].markers] == ["", "left/keyframes", "right/keyframes"]
    board.show("left", [], Header(frame_id="left_lsm_map_unscaled"))
    assert [m.ns for m in heard.messages[-1].markers] == ["", "right/keyframes"]
    board.drop("right")
    board.show("left", [], Header(frame_id="left_lsm_map_unscaled"))
    assert [m.action for m in heard.messages[-1].markers] == [Marker.DELETEALL]
