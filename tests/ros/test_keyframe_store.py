"""The store is bounded: the oldest keyframe leaves, its memory is freed, and its id is not found any more."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from itertools import count

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import Harness
from lsm_perception_msgs.msg import Keyframe, ResultCode
from lsm_perception_msgs.srv import QueryText
from synthetic_world import View, walk

WINDOW = 3
HELD_BESIDE = 1  # by the worker's last job, until the next one


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(24)


@pytest.fixture
def node(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    parameters = {"odometry.source": "none", "keyframes.window": WINDOW, "map.max_path": 4}
    harness = Harness(FakeBackend(views), parameters, listen=("keyframes", "path"))
    harness.wait_active()
    harness.wait_connected("keyframes", "path")
    yield harness
    harness.close()


def actions(node: Harness, action: int) -> list[Keyframe]:
    return [m for m in node.messages("keyframes") if m.action == action]


def test_full_window_frees_the_oldest_and_answers_not_found(node: Harness, views: list[View]) -> None:
    runtime = node.node.runtime
    assert runtime is not None
    mapper = runtime.cameras[""].mapper
    features: dict[int, list[weakref.ref]] = {}
    for view in views:
        node.walk([view])
        newest = mapper.latest()
        assert newest is not None and newest.encoded is not None and newest.prediction is not None
        tensors = [newest.encoded.tensors["key"], *(newest.prediction.features or [])]
        features.setdefault(newest.id, [weakref.ref(t) for t in tensors])
        del newest, tensors
    assert len(features) >= WINDOW + 3
    gone = sorted(features)[:-WINDOW]
    assert wait_until(lambda: {m.id for m in actions(node, Keyframe.REMOVED)} >= set(gone))
    removed = actions(node, Keyframe.REMOVED)
    assert [m.id for m in removed] == sorted(m.id for m in removed)  # the oldest first
    assert {m.reason for m in removed} == {Keyframe.REASON_WINDOW}
    gc.collect()
    alive = [i for i in gone if any(ref() is not None for ref in features[i])]
    assert len(alive) <= HELD_BESIDE, alive
    for keyframe_id in gone:
        reply = node.call(
            QueryText, "query_text", texts=["wall"], target=QueryText.Request.ID, keyframe_id=keyframe_id
        )
        assert not reply.success and reply.code == ResultCode.NOT_FOUND
    for keyframe_id in sorted(features)[-WINDOW:]:
        reply = node.call(
            QueryText, "query_text", texts=["wall"], target=QueryText.Request.ID, keyframe_id=keyframe_id
        )
        assert reply.success, reply.message


def test_memory_of_the_store_and_the_path_does_not_grow(node: Harness, views: list[View]) -> None:
    runtime = node.node.runtime
    assert runtime is not None
    mapper = runtime.cameras[""].mapper
    held = []
    steps = count(1)
    for _ in range(2):  # to and fro: the stamps go on
        for view in [*views[:14], *views[13::-1]]:
            stamp_ns = views[0].stamp_ns + next(steps) * 100_000_001
            node.walk([View(view.rgb, view.depth, view.label, view.T_world_cam, stamp_ns)])
        held.append(mapper._window.bytes)
    assert max(held) <= 1.2 * min(held) and len(mapper._window) == WINDOW
    assert len(mapper.path()[0]) <= 4
    assert wait_until(lambda: 0 < len(node.messages("path")[-1].poses) <= 4)
