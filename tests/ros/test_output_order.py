"""What is published in which order, and what no cloud waits for. A pipeline and its outputs without a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

import rclpy
from fake_backend import FakeBackend
from lsm_perception import pair_check, segmentation
from lsm_perception.accounting import Account
from lsm_perception.bandwidth import RateCap
from lsm_perception.calibration import Calibration
from lsm_perception.frames import frame_names
from lsm_perception.gate import CameraGate
from lsm_perception.mapper import Mapper
from lsm_perception.marker_outputs import MarkerBoard, MarkerOutputs
from lsm_perception.outputs import Outputs
from lsm_perception.parameters import NodeParameters
from lsm_perception.pipeline import Pipeline, Sinks
from lsm_perception.products import Candidate, PlacedPair, Products
from lsm_perception.publishers import TYPES
from lsm_perception.segmentation import Segmenter, make_queries
from lsm_perception.settings import replaced
from lsm_perception.source_image import SourceImage
from lsm_perception.timings import Timings
from lsm_perception.worker import Job
from rclpy.node import Node
from sensor_msgs_py import point_cloud2
from synthetic_world import View, walk

from lsm_core.mapping import KeyframeAction, KeyframeDecision, KeyframeReason

EVERYTHING = frozenset(TYPES)


class Recorder:
    """Publishers that remember what was published, and for whom work is done."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self.events: list[str] = []
        self.messages: dict[str, Any] = {}

    def wants(self, *names: str) -> bool:
        return not self.wanted.isdisjoint(names)

    def publish(self, name: str, message: Any) -> None:
        self.events.append(name)
        self.messages[name] = message


class AcceptAll(CameraGate):
    """A gate that takes every candidate."""

    def accept(self, decision: KeyframeDecision, reference_ns: int | None) -> bool:
        return True


class Line:
    """One camera from candidates to messages."""

    def __init__(self, node: Node, views: list[View], wanted: frozenset[str] = EVERYTHING) -> None:
        parameters = replaced(NodeParameters(), {"pose_gate.two_view_check": False})
        backend = FakeBackend(views)
        self.record: Any = Recorder(wanted)
        self.products: list[Products] = []
        mapper, names = Mapper(parameters), frame_names("", "", "odom")
        markers = MarkerOutputs(MarkerBoard(self.record), names, "")
        self.outputs = Outputs(node, self.record, names, mapper, parameters, markers)
        self.outputs._frames._broadcaster.sendTransform = lambda _: self.record.events.append("tf")
        nothing = lambda *_: None  # noqa: E731
        sinks = Sinks(
            self._publish, self.outputs.wants_segmentation, nothing, nothing, nothing, nothing, nothing,
            self.outputs.prepare,
        )  # fmt: skip
        segmenter = Segmenter(backend, make_queries(["wall", "floor"], [], -1.0))
        self.pipeline = Pipeline(backend, AcceptAll(parameters), mapper, segmenter, Timings(), sinks)
        self._account = Account()

    def _publish(self, products: Products) -> None:
        self.products.append(products)
        self.outputs.publish(products)

    def feed(self, view: View) -> list[str]:
        """Let a view become a keyframe; return what happened."""
        self.record.events.clear()
        reason = KeyframeReason.PARALLAX
        decision = KeyframeDecision(KeyframeAction.KEEP, reason, view.stamp_ns, 0.9, 3.0, 1.0, 50)
        image = SourceImage("", view.stamp_ns, "cam", 320, 240, lambda: view.rgb, lambda: view.rgb[..., 0])
        job = Job("", Candidate(image, Calibration(320, 240), decision, None), self._account.open(), 0)
        self.pipeline.process(job, lambda: True)
        return list(self.record.events)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(5)


@pytest.fixture
def node(rclpy_session: None) -> Iterator[Node]:
    found = rclpy.create_node("order")
    yield found
    found.destroy_node()


def test_scale_and_frames_come_before_the_cloud_and_all_else_after_it(node: Node, views: list[View]) -> None:
    line = Line(node, views)
    line.feed(views[0])
    assert line.feed(views[1])[0] == "map_points"  # a first pair begins a segment: the empty map says so
    line.outputs._last_scale = None  # as if the scale had changed
    events = line.feed(views[2])
    assert events[:3] == ["scale", "tf", "points"]
    after = {"keyframes", "pair_pose", "relative_pose", "path", "gaussians", "map_points", "markers"}
    assert after | {"segmentation/label", "segmentation/score", "segmentation/overlay"} == set(events[3:])
    stamps = {
        line.record.messages[name].header.stamp.nanosec for name in ("points", "pair_pose", "segmentation/label")
    }
    assert stamps == {views[2].stamp_ns % 1_000_000_000}


def test_no_cloud_waits_for_masks_covariance_or_gaussians(
    node: Node, views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Line(node, views)
    line.feed(views[0])
    late = {(pair_check, "pair_covariance"): "covariance", (segmentation, "on_pixels"): "masks"}
    for (module, name), event in late.items():
        call = getattr(module, name)
        noted = lambda *args, call=call, event=event: (line.record.events.append(event), call(*args))[1]  # noqa: E731
        monkeypatch.setattr(module, name, noted)
    whole = PlacedPair.in_map.func
    in_map = property(lambda pair: (line.record.events.append("moved"), whole(pair))[1])
    monkeypatch.setattr(PlacedPair, "in_map", in_map)
    events = line.feed(views[1])
    assert {"covariance", "masks", "moved"} <= set(events)
    assert all(events.index("points") < events.index(name) for name in ("covariance", "masks", "moved"))


def test_what_nobody_listens_to_is_not_made(node: Node, views: list[View], monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(node, views, frozenset({"points"}))

    def unwanted(*_: Any) -> Any:
        raise AssertionError("nobody asked for this")

    monkeypatch.setattr(pair_check, "pair_covariance", unwanted)
    monkeypatch.setattr(segmentation, "on_pixels", unwanted)
    monkeypatch.setattr(PlacedPair, "in_map", property(unwanted))
    line.feed(views[0])
    events = line.feed(views[1])
    assert events.count("points") == 1 and "pair_pose" not in events


def test_a_cloud_has_the_labels_of_its_own_points(node: Node, views: list[View]) -> None:
    line = Line(node, views, frozenset({"points"}))
    line.feed(views[0])
    line.feed(views[1])
    cloud, named = line.record.messages["points"], line.products[-1].named
    assert named is not None and set(np.unique(named.labels)) == {-1, 0, 1}
    rows = np.frombuffer(bytes(cloud.data), np.uint8).reshape(-1, cloud.point_step)
    label = rows[:, 20:22].copy().view(np.uint16)[:, 0]
    points = rows[:, :12].copy().view(np.float32)
    prediction, T = line.products[-1].keyframe.prediction, line.products[-1].keyframe.T_map_cam
    assert prediction is not None and T is not None
    grid = (prediction.pointmaps[0].numpy().reshape(-1, 3) - T[:3, 3]) @ T[:3, :3]
    for index in np.linspace(0, len(points) - 1, 60).astype(int):
        near = np.linalg.norm(grid - points[index], axis=1).argsort()[:9]
        assert label[index] in {65535 if n < 0 else n for n in named.labels.ravel()[near]}
    assert {0, 1, 65535} == set(label)


def test_a_cloud_is_the_same_made_beforehand_or_not(node: Node, views: list[View]) -> None:
    clouds = []
    for prepared in (True, False):
        line = Line(node, views, frozenset({"points"}))
        if not prepared:
            line.pipeline._sinks = replace(line.pipeline._sinks, prepare=lambda *_: None)
        for view in views[:3]:
            line.feed(view)
        clouds.append(line.record.messages["points"])
    assert clouds[0] == clouds[1] and math.prod((clouds[0].width, clouds[0].height)) > 1000


def test_what_was_made_for_another_keyframe_is_not_published(node: Node, views: list[View]) -> None:
    line, other = (Line(node, views, frozenset({"points"})) for _ in range(2))
    for view in views[:3]:
        line.feed(view)
        other.feed(view)
    given_up = line.products[1]
    line.outputs.prepare(given_up.keyframe, given_up.scale)
    line.outputs.publish(line.products[2])
    assert line.record.messages["points"] == other.record.messages["points"]


def test_the_map_has_words_for_one_who_hears_only_the_map(node: Node, views: list[View]) -> None:
    line = Line(node, views, frozenset({"map_points"}))
    for view in views[:4]:
        line.feed(view)
    cloud = line.record.messages["map_points"]
    labels = point_cloud2.read_points(cloud, ["label"])["label"]
    assert cloud.width > 1000 and set(np.unique(labels)) >= {0, 1}


def test_clouds_together_keep_to_the_bytes_per_second_that_are_allowed(node: Node, views: list[View]) -> None:
    line = Line(node, views)
    for view in views[:2]:
        line.feed(view)
    size = len(line.record.messages["points"].data) + len(line.record.messages["map_points"].data)
    now = [0.0]
    line.outputs._clouds._cap = RateCap(size / 10, lambda: now[0])  # ten seconds for what each image would send
    sent = [name for name in line.feed(views[2]) if name in ("points", "map_points")]
    assert sent == ["points"]  # the bucket was full; now it is overdrawn
    now[0] = 1.0
    assert {"points", "map_points"}.isdisjoint(line.feed(views[3]))
    now[0] = 100.0
    assert "points" in line.feed(views[4])
