"""Labels of points are those of the image at the points' pixels, found without the way over the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lsm_core.query import query_prediction, score_of_label, score_prediction
from lsm_core.types import Prediction

from .word_backend import WordBackend, scene

BACKEND = WordBackend(["chair", "wall", "sofa", "floor"])
TEXTS = ["chair", "sofa", "floor"]


def checkered(image: tuple[int, int] = (120, 160), crop: tuple[float, float] = (0.0, 0.0)) -> Prediction:
    """Return a scene whose features change from place to place, words of the backend mixed."""
    prediction = scene(BACKEND, image=image, crop=crop)
    assert prediction.features is not None
    mixed = torch.rand(6, 8, len(BACKEND.words), generator=torch.Generator().manual_seed(3)) ** 4
    features = torch.zeros(24, 32, prediction.features[0].shape[-1])
    features[..., : len(BACKEND.words)] = mixed.repeat_interleave(4, 0).repeat_interleave(4, 1)
    return replace(prediction, features=[features, features])


def test_labels_of_points_are_those_of_their_pixels() -> None:
    prediction = checkered()  # five pixels per point: its own pixel is in the middle
    labels, scores = score_prediction(BACKEND, prediction, TEXTS, views=[0]).at_points(prediction)
    found = query_prediction(BACKEND, prediction, TEXTS)
    assert labels.shape == (24, 32) and len(np.unique(labels)) == 4
    assert np.array_equal(labels, found.labels[0][2::5, 2::5])
    assert np.allclose(scores, score_of_label(found.scores[0], found.labels[0])[2::5, 2::5], atol=1e-6)


@pytest.mark.parametrize("crop", [(0.0, 0.0), (20.0, 10.0)])
def test_features_on_a_grid_of_their_own_are_sampled_at_the_points(crop: tuple[float, float]) -> None:
    prediction = checkered()
    own = checkered(crop=crop)  # the same features, but for the middle of the image
    prediction = replace(prediction, feature_to_image=own.grid_to_image)
    labels, scores = score_prediction(BACKEND, prediction, TEXTS, thresholds=0.3).at_points(prediction)
    found = query_prediction(BACKEND, prediction, TEXTS, thresholds=0.3)
    best = score_of_label(found.scores[0], found.labels[0])[2::5, 2::5]
    assert (labels == found.labels[0][2::5, 2::5]).mean() > 0.95  # the image's own way rounds to 1/32 pixel
    assert np.abs(scores - best)[labels == found.labels[0][2::5, 2::5]].max() < 0.05
    x, y = np.arange(2, 160, 5), np.arange(2, 120, 5)
    outside = (x < crop[0] - 0.5)[None] | (y < crop[1] - 0.5)[:, None]
    assert (labels[outside] == -1).all() and (scores[outside] == 0).all()


def test_thresholds_count_per_text() -> None:
    prediction = checkered()
    scored = score_prediction(BACKEND, prediction, TEXTS, thresholds=[2**-20, 1.0, 1.0])
    labels, _ = scored.at_points(prediction)
    assert set(np.unique(labels)) <= {-1, 0}


def test_score_of_label_is_that_of_the_label_and_zero_without() -> None:
    scores = [np.full((2, 2), 0.3, np.float32), np.full((2, 2), 0.6, np.float32)]
    assert np.allclose(score_of_label(scores, np.array([[0, 1], [-1, 1]], np.int32)), [[0.3, 0.6], [0, 0.6]])
