"""Services: queries from cached features, standing queries, capture, reset, statistics; bad requests get a code."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import FRAME, Harness
from lsm_perception.conversions.stamps import stamp_from_ns, stamp_to_ns
from lsm_perception_msgs.msg import Keyframe, PairPose, ResultCode
from lsm_perception_msgs.srv import (
    Capture,
    GetQueries,
    QueryText,
    Reset,
    SetQueries,
    Stats,
)
from sensor_msgs_py import point_cloud2
from synthetic_world import FACES, HEIGHT, WIDTH, View, walk

LISTEN = ("keyframes", "segmentation/label", "segmentation/label_info", "map_points", "path", "scale")


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(14)


@pytest.fixture(scope="module")
def running(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    harness = Harness(FakeBackend(views), {"queries.texts": ["wall", "floor"]}, listen=LISTEN)
    harness.wait_active()
    harness.wait_connected("keyframes", "segmentation/label", "map_points", "path")
    yield harness
    harness.close()


@pytest.fixture
def node(running: Harness, views: list[View]) -> Harness:
    """The same node for all tests of this file, after half a walk."""
    running.renew()
    running.walk(views[:7])
    assert wait_until(lambda: len(running.messages("keyframes")) >= 7)
    return running


def added(node: Harness) -> list[Keyframe]:
    return [m for m in node.messages("keyframes") if m.action == Keyframe.ADDED]


def test_query_returns_masks_scores_and_centroids(node: Harness, views: list[View]) -> None:
    reply = node.call(QueryText, "query_text", texts=["floor", "sofa"])
    assert reply.success and reply.code == ResultCode.NO_SCALE and "no boxes" in reply.message
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(reply.header.stamp))
    assert reply.header.frame_id == FRAME and reply.keyframe_id == added(node)[-1].id
    masks = [np.asarray(m.data, np.uint8).reshape(HEIGHT, WIDTH) for m in reply.masks]
    truth = view.label == FACES.index("floor")
    assert ((masks[0] == 255) == truth).mean() > 0.95 and not masks[1].any()
    assert [(m.width, m.height, m.encoding) for m in reply.masks] == [(WIDTH, HEIGHT, "mono8")] * 2
    labels = np.asarray(reply.label_map.data, np.uint8).reshape(HEIGHT, WIDTH)
    assert ((labels == 0) == truth).mean() > 0.95 and set(np.unique(labels)) <= {0, 255}
    assert reply.presence[0] > 0.9 and reply.presence[1] < 0.1 and reply.score[0] > 0.8
    assert list(reply.pixels) == [int((m == 255).sum()) for m in masks]
    assert list(reply.centroid_valid) == [True, False]


def test_an_entry_that_lists_things_is_split(node: Harness) -> None:
    reply = node.call(QueryText, "query_text", texts=["floor, sofa; 'wall'", "a lamp"], thresholds=[0.2, 0.9])
    assert reply.success and len(reply.masks) == len(reply.presence) == 4
    assert "'floor', 'sofa', 'wall', 'a lamp', in this order" in reply.message
    apart = node.call(
        QueryText, "query_text", texts=["floor", "sofa", "wall", "a lamp"], thresholds=[0.2] * 3 + [0.9]
    )
    assert list(reply.pixels) == list(apart.pixels) and reply.label_map == apart.label_map
    assert "in this order" not in apart.message
    quoted = node.call(QueryText, "query_text", texts=['"a red, round table"'])
    assert quoted.success and len(quoted.masks) == 1
    assert node.call(QueryText, "query_text", texts=["a, b", "c"], thresholds=[0.1] * 4).code == "bad_request"


def test_standing_queries_are_split_too(node: Harness) -> None:
    reply = node.call(SetQueries, "set_queries", texts=["cabinet; wall", "door"], thresholds=[0.25, 0.5])
    assert list(reply.texts) == ["cabinet", "wall", "door"] and list(reply.thresholds) == [0.25, 0.25, 0.5]


def test_query_points_lie_on_the_floor_plane_in_the_unscaled_map(node: Harness) -> None:
    reply = node.call(QueryText, "query_text", texts=["floor"])
    assert reply.unit == PairPose.UNIT_RELATIVE and reply.points.header.frame_id == "lsm_map_unscaled"
    points = point_cloud2.read_points_numpy(reply.points, ["x", "y", "z"])
    assert len(points) > 100
    centred = points - points.mean(0)
    thickness, extent = np.linalg.svd(centred, full_matrices=False)[1][[2, 0]]
    assert thickness < 0.05 * extent
    c = reply.centroids[0]
    assert np.linalg.norm(np.median(points, 0) - (c.x, c.y, c.z)) < 0.1 * np.linalg.norm(points.std(0))
    assert len(reply.objects.detections) == 0  # boxes exist only in metres


def test_query_by_id_and_stamp_answers_for_that_keyframe(node: Harness) -> None:
    wanted = added(node)[1]
    by_id = node.call(QueryText, "query_text", texts=["wall"], target=QueryText.Request.ID, keyframe_id=wanted.id)
    assert by_id.success and by_id.header == wanted.header
    near = stamp_from_ns(stamp_to_ns(wanted.header.stamp) + 1000)
    by_stamp = node.call(QueryText, "query_text", texts=["wall"], target=QueryText.Request.STAMP, stamp=near)
    assert by_stamp.success and by_stamp.keyframe_id == wanted.id


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"texts": []}, ResultCode.BAD_REQUEST),
        ({"texts": ["chair", ""]}, ResultCode.BAD_REQUEST),
        ({"texts": ["x" * 100_000]}, ResultCode.BAD_REQUEST),
        ({"texts": ["cha\x07ir"]}, ResultCode.BAD_REQUEST),
        ({"texts": [f"thing {i}" for i in range(300)]}, ResultCode.BAD_REQUEST),
        ({"texts": [", ".join(f"thing {i}" for i in range(300))]}, ResultCode.BAD_REQUEST),
        ({"texts": ["chair, table", "Table"]}, ResultCode.BAD_REQUEST),
        ({"texts": ["chair"], "thresholds": [0.1, 0.2]}, ResultCode.BAD_REQUEST),
        ({"texts": ["chair"], "thresholds": [float("nan")]}, ResultCode.BAD_REQUEST),
        ({"texts": ["chair"], "target": 77}, ResultCode.BAD_REQUEST),
        ({"texts": ["chair"], "target": QueryText.Request.ID, "keyframe_id": 9999}, ResultCode.NOT_FOUND),
        ({"texts": ["chair"], "camera": "rear"}, ResultCode.NOT_FOUND),
        ({"texts": ["chair"], "target": QueryText.Request.CAMERA}, ResultCode.BAD_REQUEST),
    ],
)
def test_bad_queries_are_answered_with_a_code(node: Harness, fields: dict, code: str) -> None:
    reply = node.call(QueryText, "query_text", **fields)
    assert not reply.success and reply.code == code and reply.message
    assert node.call(QueryText, "query_text", texts=["wall"]).success


def test_unicode_texts_are_fine(node: Harness) -> None:
    assert node.call(QueryText, "query_text", texts=["стул", "椅子", "café"]).success


def test_query_does_not_wait_for_a_running_inference(node: Harness, views: list[View]) -> None:
    runtime = node.node.runtime
    assert runtime is not None
    node.hold_inference(views[7:])
    assert node.call(QueryText, "query_text", timeout_s=5.0, texts=["wall"]).success
    assert runtime.account.counts().pending > 0  # the inference was in work all the time
    node.backend.release.set()
    node.settle()


def test_standing_queries_can_be_replaced_and_listed(node: Harness, views: list[View]) -> None:
    reply = node.call(SetQueries, "set_queries", texts=["cabinet"], thresholds=[0.25])
    assert reply.success and list(reply.texts) == ["cabinet"] and list(reply.thresholds) == [0.25]
    assert list(node.call(GetQueries, "get_queries").texts) == ["cabinet"]
    tables = lambda: [[c.class_name for c in m.class_map] for m in node.messages("segmentation/label_info")]  # noqa: E731
    assert wait_until(lambda: tables()[-1] == ["cabinet", "unlabelled"])
    before = len(node.messages("segmentation/label"))
    node.walk(views[7:10])
    assert wait_until(lambda: len(node.messages("segmentation/label")) > before)
    message = node.messages("segmentation/label")[-1]
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(message.header.stamp))
    labels = np.asarray(message.data, np.uint8).reshape(HEIGHT, WIDTH)
    assert ((labels == 0) == (view.label == FACES.index("cabinet"))).mean() > 0.95


def test_bad_standing_queries_leave_the_old_ones(node: Harness) -> None:
    assert node.call(SetQueries, "set_queries", texts=["bed", " "]).code == ResultCode.BAD_REQUEST
    assert list(node.call(GetQueries, "get_queries").texts) == ["wall", "floor"]


def test_no_standing_queries_turn_segmentation_off(node: Harness, views: list[View]) -> None:
    assert node.call(SetQueries, "set_queries", texts=[]).success
    before = len(node.messages("segmentation/label"))
    node.walk(views[7:11])
    assert len(added(node)) >= 2 and len(node.messages("segmentation/label")) == before


def test_capture_without_images_times_out(node: Harness) -> None:
    request = Capture.Request()
    request.timeout.nanosec = 200_000_000
    reply = node.call(Capture, "capture", timeout=request.timeout)
    assert not reply.success and reply.code == ResultCode.TIMEOUT
    assert node.call(Capture, "capture", camera="rear").code == ResultCode.NOT_FOUND


def test_reset_forgets_keyframes_and_empties_what_is_latched(node: Harness, views: list[View]) -> None:
    assert wait_until(lambda: any(m.width for m in node.messages("map_points")))
    kept = {m.id for m in added(node)}
    assert node.call(Reset, "reset").success
    assert wait_until(lambda: node.messages("map_points")[-1].width == 0)
    assert wait_until(lambda: node.messages("path")[-1].poses == [])
    removed = lambda: [m for m in node.messages("keyframes") if m.action == Keyframe.REMOVED]  # noqa: E731
    assert wait_until(lambda: {m.id for m in removed()} == kept), removed()
    assert {m.reason for m in removed()} == {Keyframe.REASON_RESET}
    assert node.call(QueryText, "query_text", texts=["wall"]).code == ResultCode.NOT_READY
    node.walk(views[7:8])
    assert wait_until(lambda: added(node)[-1].reason == Keyframe.REASON_FIRST)
    assert added(node)[-1].id > max(kept)


def test_reset_during_inference_publishes_nothing_of_before(node: Harness, views: list[View]) -> None:
    runtime = node.node.runtime
    assert runtime is not None
    node.hold_inference(views[7:])
    before = len(added(node))
    assert node.call(Reset, "reset").success
    node.backend.release.set()
    node.settle()
    assert len(added(node)) == before
    counts = runtime.account.counts()
    assert counts.dropped.get("reset", 0) >= 1 and counts.delivered == counts.used + sum(counts.dropped.values())


def test_statistics_add_up_and_can_be_reset(node: Harness) -> None:
    reply = node.call(Stats, "stats", reset=True)
    assert reply.success and reply.delivered == 7 == reply.used + sum(d.count for d in reply.dropped)
    assert reply.keyframes == len(added(node)) == reply.used and reply.pairs == reply.pairs_accepted > 0
    stages = {t.stage: t for t in reply.timings}
    assert {"decode", "encode", "predict", "publish", "total"} <= set(stages)
    assert stages["predict"].count == reply.keyframes
    assert stages["total"].p50_ms <= stages["total"].p99_ms <= stages["total"].max_ms
    assert reply.backend == "fake" and reply.device == "cpu" and reply.memory_mib > 10
    again = node.call(Stats, "stats")
    assert (again.delivered, again.keyframes, list(again.timings)) == (0, 0, [])
