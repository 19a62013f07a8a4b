"""The node with a semantic source beside its model, and with a model that has no words at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from harness import Harness
from known_scene import walk_slowly, write_room_checkpoints
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception_msgs.msg import ResultCode
from lsm_perception_msgs.srv import QueryText
from synthetic_world import FACES, HEIGHT, WIDTH, View, walk

from lsm_core import load_backend
from lsm_core.backends.image_crop import stretch_plan

PATIENCE_S = 180.0  # a loaded machine takes its time
LISTEN = ("keyframes", "segmentation/label")


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(4, step_m=0.15)[::3]


@pytest.fixture(scope="module")
def weights(views: list[View], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known")
    write_room_checkpoints(folder, views, lambda width, height: stretch_plan(width, height, 384, 32))
    return folder


def started(parameters: dict[str, object], namespace: str = "") -> Harness:
    """Return an active node that has made its model itself."""
    chosen = {"device": "cpu", "queries.texts": list(FACES), **parameters}
    harness = Harness(None, chosen, LISTEN, namespace, load=load_backend)
    try:
        assert wait_until(lambda: harness.node.state_label == "active", PATIENCE_S)
        harness.wait_active()
        harness.wait_connected(*LISTEN)
    except AssertionError:
        harness.close()
        raise
    return harness


@pytest.fixture(scope="module")
def node(rclpy_session: None, views: list[View], weights: Path) -> Iterator[Harness]:
    """lsm-tiny with LSeg's words, after a step."""
    harness = started({"semantics.source": "lseg", "semantics.weights": str(weights)})
    try:
        walk_slowly(harness, views)
        assert wait_until(lambda: len(harness.messages("segmentation/label")) >= len(views), PATIENCE_S)
        yield harness
    finally:
        harness.close()


def test_labels_are_the_sources_for_the_whole_image(node: Harness, views: list[View]) -> None:
    found = node.messages("segmentation/label")
    assert len(found) == len(views)
    for message, view in zip(found, views, strict=True):
        assert stamp_to_ns(message.header.stamp) == view.stamp_ns
        labels = np.asarray(message.data, np.uint8).reshape(HEIGHT, WIDTH)
        assert (labels == view.label).mean() > 0.9


def test_words_are_asked_of_the_source(node: Harness, views: list[View]) -> None:
    reply = node.call(QueryText, "query_text", PATIENCE_S, texts=["floor", "cabinet"])
    assert reply.success and reply.code == ResultCode.NO_SCALE
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(reply.header.stamp))
    for text, mask in zip(("floor", "cabinet"), reply.masks, strict=True):
        found = np.asarray(mask.data, np.uint8).reshape(HEIGHT, WIDTH) == 255
        assert (found == (view.label == FACES.index(text))).mean() > 0.9
    assert node.node.runtime is not None and node.node.runtime.backend.name == "lsm-tiny+lseg"


def test_a_model_without_words_says_unsupported(rclpy_session: None, views: list[View], weights: Path) -> None:
    harness = started({"backend": "dust3r", "weights": str(weights), "semantics.source": "none"}, "wordless")
    try:
        walk_slowly(harness, views[:1])
        assert wait_until(lambda: len(harness.messages("keyframes")) >= 1)
        reply = harness.call(QueryText, "query_text", PATIENCE_S, texts=["floor"])
        assert (reply.success, reply.code, list(reply.masks)) == (False, ResultCode.UNSUPPORTED, [])
        assert "no language features" in reply.message and "semantics.source:=lseg" in reply.message
        assert not harness.messages("segmentation/label")
    finally:
        harness.close()


def test_a_source_without_weights_fails_configure_with_the_command(rclpy_session: None) -> None:
    harness = Harness(None, {"semantics.source": "lseg", "autostart": False}, (), "bare", load=load_backend)
    try:
        complaint = harness.node._build(harness.node._server.tree)
        assert "lsm weights fetch lseg --accept-licence" in complaint and "semantics.weights:=" in complaint
    finally:
        harness.close()
