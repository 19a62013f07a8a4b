"""Metres from a known camera height and from the model's own claim, through the pipeline, without ROS."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from fake_backend import FakeBackend
from lsm_perception.accounting import Account
from lsm_perception.calibration import Calibration
from lsm_perception.floor_finder import FloorFinder, on_grid
from lsm_perception.mapper import Mapper
from lsm_perception.parameters import NodeParameters
from lsm_perception.pipeline import Pipeline, Sinks
from lsm_perception.products import Candidate, Products
from lsm_perception.segmentation import Segmenter, make_queries
from lsm_perception.settings import replaced
from lsm_perception.source_image import SourceImage
from lsm_perception.timings import Timings
from lsm_perception.worker import Job
from synthetic_world import HALF_SIZE, View, look, render
from test_pipeline import AcceptAll

from lsm_core.mapping import KeyframeAction, KeyframeDecision, KeyframeReason, ScaleSource, ScaleState
from lsm_core.types import Prediction

SECOND = 1_000_000_000
HEIGHT_M = float(HALF_SIZE[1])  # the camera is in the middle between floor and ceiling
T_ODOM_WORLD = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1.0]])  # z up


class SilentBackend(FakeBackend):
    """The same without language."""

    has_language = False


class BoastingBackend(FakeBackend):
    """The same with the claim that its unit is the metre."""

    def predict(self, *args: object, **kwargs: object) -> Prediction:
        return replace(super().predict(*args, **kwargs), unit="metric")  # type: ignore[arg-type]


class Bench:
    """A pipeline with all sources of metres that the parameters ask for."""

    def __init__(self, backend: FakeBackend, odometry: bool = False, **parameters: object) -> None:
        given = {"pose_gate.two_view_check": False, "keyframes.retries": 0} | parameters
        tree = replaced(NodeParameters(), {k.replace("__", "."): v for k, v in given.items()})  # type: ignore[misc]
        self._odometry = odometry
        self._poses: dict[int, np.ndarray] = {}
        self.published: list[Products] = []
        self.mapper = Mapper(tree)
        self._account = Account()
        sinks = Sinks(
            publish=self.published.append,
            wants_segmentation=lambda: False,
            odometry=self._pose,
            depth=lambda *_: None,
            moving=lambda _: None,
            dropped=lambda *_: None,
            problem=lambda _text: None,
        )
        segmenter = Segmenter(backend, make_queries([], [], -1.0))
        floor = FloorFinder(backend) if tree.scale.wants_floor else None
        self._pipeline = Pipeline(backend, AcceptAll(tree), self.mapper, segmenter, Timings(), sinks, floor=floor)

    def walk(self, views: list[View]) -> list[ScaleState]:
        """Feed views and return the state after each."""
        for i, view in enumerate(views):
            reason = KeyframeReason.PARALLAX if i else KeyframeReason.FIRST
            decision = KeyframeDecision(KeyframeAction.KEEP, reason, view.stamp_ns, math.nan, math.nan, 1.0, 50)
            self._poses[view.stamp_ns] = T_ODOM_WORLD @ view.T_world_cam
            image = SourceImage(
                "", view.stamp_ns, "cam", 320, 240, lambda v=view: v.rgb, lambda v=view: v.rgb[..., 0]
            )
            candidate = Candidate(image, Calibration(320, 240), decision, None)
            self._pipeline.process(Job("", candidate, self._account.open(), 0), lambda: True)
        assert len(self.published) == len(views)
        return [products.scale.state for products in self.published]

    def _pose(self, _frame: str, stamp_ns: int) -> np.ndarray | None:
        return self._poses[stamp_ns] if self._odometry else None


@pytest.fixture(scope="module")
def level() -> list[View]:
    """A walk at a constant height."""
    return [render(look(-1.0 + 0.2 * i, 0.0, -1.5, 2.0 * i), SECOND * (i + 1)) for i in range(7)]


@pytest.mark.parametrize("backend", [FakeBackend, SilentBackend])
def test_a_known_camera_height_gives_metres(backend: type[FakeBackend], level: list[View]) -> None:
    bench = Bench(backend(level), scale__camera_height_m=HEIGHT_M)
    states = bench.walk(level)
    assert states[:3] == [ScaleState.UNKNOWN] * 3 and states[-1] is ScaleState.METRIC
    scale = bench.mapper.scale
    assert scale.source is ScaleSource.CAMERA_HEIGHT
    _, positions, _ = bench.mapper.path()
    truth = np.linalg.inv(level[0].T_world_cam) @ level[-1].T_world_cam
    assert np.linalg.norm(positions[-1]) * scale.metres_per_unit == pytest.approx(
        np.linalg.norm(truth[:3, 3]), rel=0.03
    )


def test_a_pitched_camera_finds_the_floor_by_odometrys_gravity(level: list[View]) -> None:
    pitch, down = np.eye(4), math.radians(50)
    pitch[1:3, 1:3] = [[math.cos(down), -math.sin(down)], [math.sin(down), math.cos(down)]]
    views = [render(v.T_world_cam @ np.linalg.inv(pitch), v.stamp_ns) for v in level]
    assert views[0].label[-1, 160] == 3  # the floor is in view
    blind = Bench(FakeBackend(views), scale__camera_height_m=HEIGHT_M, scale__source="camera_height")
    assert set(blind.walk(views)) == {ScaleState.UNKNOWN}  # 50 degrees are no floor against the image's vertical
    bench = Bench(FakeBackend(views), True, scale__camera_height_m=HEIGHT_M, scale__source="camera_height")
    assert bench.walk(views)[-1] is ScaleState.METRIC
    _, positions, _ = bench.mapper.path()
    truth = np.linalg.norm((np.linalg.inv(views[0].T_world_cam) @ views[-1].T_world_cam)[:3, 3])
    found = np.linalg.norm(positions[-1]) * bench.mapper.scale.metres_per_unit
    assert found == pytest.approx(truth, rel=0.03)


def test_no_floor_in_view_gives_no_metres() -> None:
    up, turn = np.eye(4), math.radians(40)
    up[1:3, 1:3] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    views = [render(look(-1.0 + 0.2 * i, 0.0, -1.5) @ up, SECOND * (i + 1)) for i in range(5)]
    assert not (views[0].label == 3).any()
    for backend in (FakeBackend(views), SilentBackend(views)):
        bench = Bench(backend, scale__camera_height_m=HEIGHT_M)
        assert set(bench.walk(views)) == {ScaleState.UNKNOWN}


def test_the_floor_is_not_looked_for_while_odometry_gives_metres(level: list[View]) -> None:
    bench = Bench(FakeBackend(level), odometry=True, scale__camera_height_m=HEIGHT_M)
    assert bench.walk(level)[-1] is ScaleState.METRIC
    assert bench.mapper.scale.source is ScaleSource.ODOMETRY and bench.mapper.knows_better_than_height()


def test_floor_words_mark_the_floors_pixels_of_the_model_grid(level: list[View]) -> None:
    backend = FakeBackend(level)
    prediction = backend.predict([level[0].rgb, level[1].rgb])
    found = FloorFinder(backend).floor(prediction, 1)
    truth = on_grid(level[1].label == 3, prediction, 1)
    assert truth.any() and (found == truth).mean() > 0.97


def test_a_models_own_claim_is_heard_only_when_allowed_and_never_metric(level: list[View]) -> None:
    assert set(Bench(BoastingBackend(level)).walk(level)) == {ScaleState.UNKNOWN}
    bench = Bench(BoastingBackend(level), scale__allow_model=True)
    states = bench.walk(level)
    assert set(states[1:]) == {ScaleState.DEGRADED}
    scale = bench.mapper.scale
    assert scale.source is ScaleSource.MODEL and scale.epoch == 1
    pair = bench.published[1].pair
    assert pair is not None  # the first pair's unit is the segment's: one claimed metre
    assert bench.published[1].scale.metres_per_unit == pytest.approx(1.0)


def test_measured_metres_replace_a_models_claim_in_a_new_epoch(level: list[View]) -> None:
    bench = Bench(BoastingBackend(level), odometry=True, scale__allow_model=True)
    states = bench.walk(level)
    assert ScaleState.DEGRADED in states
    assert states[-1] is ScaleState.METRIC
    assert bench.mapper.scale.epoch == 2 and bench.mapper.segment == 2
    _, positions, _ = bench.mapper.path()
    begun = level[len(level) - len(positions)]
    truth = np.linalg.norm((np.linalg.inv(begun.T_world_cam) @ level[-1].T_world_cam)[:3, 3])
    found = np.linalg.norm(positions[-1]) * bench.mapper.scale.metres_per_unit
    assert found == pytest.approx(truth, rel=0.03)


@pytest.mark.parametrize(
    ("source", "order"),
    [
        ("auto", ["depth", "rig", "odometry", "camera_height"]),
        ("depth", ["depth"]),
        ("rig", ["rig"]),
        ("odometry", ["odometry"]),
        ("camera_height", ["camera_height"]),
        ("none", []),
    ],
)
def test_the_order_of_sources_is_that_of_the_parameter(source: str, order: list[str]) -> None:
    tree = replaced(NodeParameters(), {"scale.source": source})
    assert [str(s.value) for s in tree.scale.config().order] == order


def test_motion_shorter_than_the_least_baseline_gives_no_metres(level: list[View]) -> None:
    assert set(Bench(FakeBackend(level), True, scale__min_baseline_m=0.5).walk(level)) == {ScaleState.UNKNOWN}
    assert Bench(FakeBackend(level), True, scale__min_baseline_m=0.1).walk(level)[-1] is ScaleState.METRIC
