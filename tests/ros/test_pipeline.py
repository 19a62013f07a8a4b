"""Which candidates are worth an inference, without ROS messages or a running node."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from fake_backend import FakeBackend
from lsm_perception.accounting import Account, Drop
from lsm_perception.calibration import Calibration
from lsm_perception.gate import CameraGate
from lsm_perception.mapper import Mapper
from lsm_perception.parameters import NodeParameters
from lsm_perception.pipeline import Pipeline, Sinks
from lsm_perception.products import Candidate, Products
from lsm_perception.segmentation import Segmenter, make_queries
from lsm_perception.settings import replaced
from lsm_perception.source_image import SourceImage
from lsm_perception.timings import Timings
from lsm_perception.worker import Job
from synthetic_world import View, walk

from lsm_core.mapping import KeyframeAction, KeyframeDecision, KeyframeReason
from lsm_core.types import Prediction

SECOND = 1_000_000_000


class AcceptAll(CameraGate):
    """A gate that takes every candidate, so a test can say what the decisions are."""

    def accept(self, decision: KeyframeDecision, reference_ns: int | None) -> bool:
        return True


class Bench:
    """A pipeline whose candidates a test makes by hand."""

    def __init__(self, views: list[View], wanted: bool = True, backend: FakeBackend | None = None) -> None:
        parameters = replaced(NodeParameters(), {"pose_gate.two_view_check": False})
        self.backend = FakeBackend(views) if backend is None else backend
        self.account = Account()
        self.published: list[Products] = []
        self.dropped: list[str] = []
        self.problems: list[str] = []
        sinks = Sinks(
            self.published.append,
            lambda: wanted,
            lambda *_: None,
            lambda *_: None,
            lambda _: None,
            lambda _image, why: self.dropped.append(why),
            self.problems.append,
        )
        self.mapper = Mapper(parameters)
        segmenter = Segmenter(self.backend, make_queries(["wall"], [], -1.0))
        gate = AcceptAll(parameters)
        self.pipeline = Pipeline(self.backend, gate, self.mapper, segmenter, Timings(), sinks)

    def feed(self, view: View, reason: KeyframeReason, stamp_ns: int, current: bool = True) -> None:
        action = KeyframeAction.REFRESH if reason is KeyframeReason.AGE else KeyframeAction.KEEP
        decision = KeyframeDecision(action, reason, stamp_ns, math.nan, math.nan, 1.0, 50)
        image = SourceImage("", stamp_ns, "cam", 320, 240, lambda: view.rgb, lambda: view.rgb[..., 0])
        candidate = Candidate(image, Calibration(320, 240), decision, None)
        self.pipeline.process(Job("", candidate, self.account.open(), 0), lambda: current)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(6)


def test_a_lost_view_is_paired_soon_after_the_last_keyframe(views: list[View]) -> None:
    bench = Bench(views)
    bench.feed(views[0], KeyframeReason.FIRST, SECOND)
    bench.feed(views[1], KeyframeReason.LOST, SECOND + SECOND // 2)
    assert bench.backend.predictions == 2
    assert bench.published[-1].pair is not None and bench.published[-1].pair.accepted


def test_a_lost_view_much_later_costs_no_inference_and_starts_the_next_pair(views: list[View]) -> None:
    bench = Bench(views)
    bench.feed(views[0], KeyframeReason.FIRST, SECOND)
    bench.feed(views[1], KeyframeReason.LOST, 4 * SECOND)
    assert bench.backend.predictions == 1 and bench.published[-1].pair is None
    bench.feed(views[2], KeyframeReason.PARALLAX, 5 * SECOND)
    pair = bench.published[-1].pair
    assert pair is not None and pair.accepted and pair.older.stamp_ns == 4 * SECOND


def test_a_lost_view_that_the_model_cannot_pair_either_starts_anew_at_once(views: list[View]) -> None:
    bench = Bench(views)
    bench.feed(views[0], KeyframeReason.FIRST, SECOND)
    bench.backend.validity, bench.backend.overlap = 0.0, 0.1
    bench.feed(views[1], KeyframeReason.LOST, SECOND + SECOND // 2)
    older, _ = bench.mapper.partner()
    assert older is not None and older.stamp_ns == SECOND + SECOND // 2


def test_age_without_motion_refreshes_masks_and_leaves_the_partner(views: list[View]) -> None:
    bench = Bench(views)
    bench.feed(views[0], KeyframeReason.FIRST, SECOND)
    bench.feed(views[0], KeyframeReason.AGE, 5 * SECOND)
    last = bench.published[-1]
    assert last.refreshed and last.pair is None and last.segmentation is not None
    older, _ = bench.mapper.partner()
    assert older is not None and older.stamp_ns == SECOND


def test_queries_nobody_listens_to_are_not_answered(views: list[View]) -> None:
    bench = Bench(views, wanted=False)
    bench.feed(views[0], KeyframeReason.FIRST, SECOND)
    assert bench.published[-1].segmentation is None


def test_masks_of_a_keyframe_name_what_is_there(views: list[View]) -> None:
    bench = Bench(views)
    bench.feed(views[0], KeyframeReason.FIRST, SECOND)
    found = bench.published[-1].segmentation
    assert found is not None and found.labels.shape == (240, 320)
    assert ((found.labels == 0) == (views[0].label == 0)).mean() > 0.95
    assert np.array_equal(found.scores > 0, found.labels == 0)


def test_outdated_work_is_dropped_and_not_published(views: list[View]) -> None:
    bench = Bench(views)
    bench.feed(views[0], KeyframeReason.FIRST, SECOND, current=False)
    assert bench.published == [] and bench.dropped == ["reset"]
    assert bench.account.counts().dropped == {Drop.RESET: 1}


class SpoiledPartner(FakeBackend):
    """Every pair with one of the images has a number that is not finite."""

    spoiled_ns = 0

    def predict(self, views: Sequence[Any], *args: Any, **kwargs: Any) -> Prediction:
        known = [self._views[int(v.tensors["key"])].stamp_ns for v in views]
        self.poison = "pointmap 0" if self.spoiled_ns in known else ""
        return super().predict(views, *args, **kwargs)


def test_a_partner_that_spoils_every_pair_is_given_up(views: list[View]) -> None:
    bench = Bench(views, backend=SpoiledPartner(views))
    bench.feed(views[0], KeyframeReason.FIRST, SECOND)
    bench.backend.spoiled_ns = views[0].stamp_ns  # type: ignore[attr-defined]
    for i, view in enumerate(views[1:], 2):
        bench.feed(view, KeyframeReason.PARALLAX, i * SECOND)
    assert bench.dropped == ["non_finite", "non_finite"]  # keyframes.retries = 1
    assert all("not finite: pointmap 0" in problem for problem in bench.problems)
    counts = bench.pipeline.counts()
    assert (counts.keyframes, counts.pairs, counts.accepted) == (4, 2, 2)


def test_counts_tell_pairs_and_rejections(views: list[View]) -> None:
    bench = Bench(views)
    for i, view in enumerate(views):
        bench.backend.validity = 0.0 if i == 3 else 1.0
        bench.feed(view, KeyframeReason.PARALLAX if i else KeyframeReason.FIRST, (i + 1) * SECOND)
    counts = bench.pipeline.counts()
    assert (counts.keyframes, counts.pairs, counts.accepted) == (6, 5, 4)
    assert counts.rejected == {"low_validity": 1}
