"""No number that is not finite passes, wherever in the model's answer it is."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")

from fake_backend import FakeBackend
from lsm_perception.finite_check import non_finite_features, non_finite_prediction
from poison import PARTS, poisoned
from synthetic_world import walk

from lsm_core import load_backend
from lsm_core.types import Prediction


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    views = walk(3)
    return FakeBackend(views).predict([views[0].rgb, views[2].rgb])


def test_a_good_answer_passes(prediction: Prediction) -> None:
    assert non_finite_prediction(prediction) is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
@pytest.mark.parametrize("part", PARTS)
def test_one_bad_number_is_found_and_named(prediction: Prediction, part: str, value: float) -> None:
    found = non_finite_prediction(poisoned(prediction, part, value))
    assert found is not None and found.split(" ")[0].lower() == part.split(" ")[0].lower()


def test_numbers_whose_sum_is_not_finite_pass_where_each_of_them_is(prediction: Prediction) -> None:
    huge = [torch.full_like(c, 3e38) for c in prediction.confidence]
    assert non_finite_prediction(replace(prediction, confidence=huge)) is None


def test_infinities_of_both_signs_do_not_cancel(prediction: Prediction) -> None:
    bad = poisoned(prediction, "confidence", math.inf)
    bad.confidence[1][0, 0] = -math.inf
    assert non_finite_prediction(bad) == "confidence 1"


def test_geometry_of_a_view_without_a_pose_is_not_looked_at(prediction: Prediction) -> None:
    lost = replace(poisoned(prediction, "pose", math.nan), pose_valid=[True, False])
    assert non_finite_prediction(poisoned(lost, "pointmap 1", math.nan)) is None
    assert non_finite_prediction(poisoned(lost, "features", math.nan)) == "features 1"


def test_features_of_one_image_are_looked_at() -> None:
    backend = FakeBackend()
    image = np.zeros((32, 32, 3), np.uint8)
    assert non_finite_features(backend.encode(image)) is None
    backend.poison = "encoded"
    assert non_finite_features(backend.encode(image)) == "encoded tokens"


def test_the_real_model_passes_with_and_without_a_pose() -> None:
    backend = load_backend("lsm-tiny", device="cpu")
    views = walk(3)
    near = [backend.encode(view.rgb) for view in views[::2]]
    noise = backend.encode(np.random.default_rng(0).integers(0, 255, views[0].rgb.shape, np.uint8))
    assert all(non_finite_features(view) is None for view in (*near, noise))
    lost = backend.predict([near[0], noise])
    assert not lost.pose_valid[1] and bool(torch.isnan(lost.pointmaps[1]).any())
    assert non_finite_prediction(backend.predict(near)) is None and non_finite_prediction(lost) is None
