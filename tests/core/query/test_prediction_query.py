"""Queries find what is there, where it is, and say when it is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsm_core.errors import QueryError, UnsupportedError
from lsm_core.query import QueryConfig, label_image, query_prediction
from lsm_core.query.text_to_mask import text_scores, to_image
from lsm_core.query.vocabulary import NAMES, adoption, embed_vocabulary
from lsm_core.types import Camera

from .word_backend import MuteBackend, WordBackend, scene

BACKEND = WordBackend(["chair", "wall", "sofa", "floor", "lamp", "refrigerator"])


def test_mask_covers_the_thing_at_the_resolution_of_the_image() -> None:
    found = query_prediction(BACKEND, scene(BACKEND), ["chair", "lamp"])
    assert found.texts == ("chair", "lamp") and len(found.masks) == 2
    mask, empty = found.masks[0]
    assert mask.shape == (96, 128) and mask.dtype == bool
    assert mask[:, :62].all() and not mask[:, 66:].any() and not empty.any()
    assert found.presence[0] > 0.95 and found.presence[1] < 0.05
    assert (found.labels[0] == np.where(mask, 0, -1)).all()


def test_scores_are_comparable_between_texts() -> None:
    found = query_prediction(BACKEND, scene(BACKEND, ("sofa", "chair")), ["chair", "sofa", "lamp"])
    stack = np.stack(found.scores[0])
    assert stack.dtype == np.float32 and stack.min() >= 0 and stack.max() <= 1
    assert (stack[:, :, :60].argmax(0) == 1).all() and (stack[:, :, 68:].argmax(0) == 0).all()


def test_word_of_the_same_meaning_is_found_and_does_not_compete_with_itself() -> None:
    found = query_prediction(BACKEND, scene(BACKEND, ("refrigerator", "wall")), ["fridge"])
    assert found.scores[0][0][:, :60].min() > 0.9 and found.presence[0] > 0.95


def test_absent_things_stay_absent_even_when_asked_for_alone() -> None:
    for text in ("elephant", "sofa", "lamp"):
        found = query_prediction(BACKEND, scene(BACKEND, ("floor", "wall")), [text])
        assert found.presence[0] < 0.05 and not found.masks[0][0].any()


def test_thing_in_one_view_only_is_present() -> None:
    prediction = scene(BACKEND)
    assert prediction.features is not None
    walls = torch.zeros_like(prediction.features[0]) + BACKEND.feature("wall")
    found = query_prediction(BACKEND, replace(prediction, features=[walls, prediction.features[1]]), ["chair"])
    assert found.presence[0] > 0.95 and not found.masks[0][0].any() and found.masks[1][0].any()


def test_pixels_outside_the_models_crop_score_zero() -> None:
    found = query_prediction(BACKEND, scene(BACKEND, ("chair", "chair"), crop=(16.0, 0.0)), ["chair"])
    score = found.scores[0][0]
    assert (score[:, :16] == 0).all() and (score[:, 112:] == 0).all() and (score[:, 17:111] > 0.9).all()


def test_thresholds_cut_per_text_and_default_where_not_given() -> None:
    prediction = scene(BACKEND, ("chair", "sofa"))
    texts = ["chair", "sofa"]
    none = query_prediction(BACKEND, prediction, texts)
    loose = query_prediction(BACKEND, prediction, texts, thresholds=[0.0, float("nan")])
    assert loose.masks[0][0].all() and (loose.masks[0][1] == none.masks[0][1]).all()
    everything = query_prediction(BACKEND, prediction, texts, thresholds=0.0)
    assert all(mask.all() for mask in everything.masks[0])
    assert (query_prediction(BACKEND, prediction, texts, thresholds=-1.0).masks[0][0] == none.masks[0][0]).all()


def test_labels_follow_the_best_text_among_set_masks() -> None:
    found = query_prediction(BACKEND, scene(BACKEND, ("chair", "sofa")), ["chair", "sofa"], thresholds=0.0)
    assert (found.labels[0][:, :60] == 0).all() and (found.labels[0][:, 68:] == 1).all()
    assert label_image(np.array([[-1, 0, 63]], np.int32)).tolist() == [[255, 0, 63]]


def test_views_can_be_chosen() -> None:
    found = query_prediction(BACKEND, scene(BACKEND), ["chair"], views=[1])
    assert len(found.masks) == len(found.scores) == len(found.labels) == 1


def test_half_precision_features_give_the_same_masks() -> None:
    prediction = scene(BACKEND)
    assert prediction.features is not None
    half = replace(prediction, features=[f.half() for f in prediction.features])
    a, b = (query_prediction(BACKEND, p, ["chair"]).masks[0][0] for p in (prediction, half))
    assert (a == b).all()


def test_decoder_that_is_not_affine_is_answered_by_decoding() -> None:
    curved = WordBackend(BACKEND.words, linear=False)
    found = query_prediction(curved, scene(curved), ["chair"])
    assert found.masks[0][0][:, :62].all() and not found.masks[0][0][:, 66:].any()


def test_features_that_are_not_finite_score_zero() -> None:
    prediction = scene(BACKEND)
    assert prediction.features is not None
    broken = prediction.features[0].clone()
    broken[5] = float("nan")
    found = query_prediction(BACKEND, replace(prediction, features=[broken, broken]), ["chair"])
    assert np.isfinite(found.scores[0][0]).all() and found.scores[0][0][22].max() < 0.2
    assert found.scores[0][0][60, 10] > 0.9


def test_free_camera_sees_the_scene_from_where_it_stands() -> None:
    prediction = scene(BACKEND)
    T = torch.eye(4)
    T[0, 3] = 0.5  # a quarter of the plane's visible width to the right
    K = torch.tensor([[96.0, 0, 63.5], [0, 96.0, 47.5], [0, 0, 1]])
    found = query_prediction(BACKEND, prediction, ["chair"], camera=Camera(K, 128, 96, T))
    mask = found.masks[0][0]
    boundary = 63.5 - 0.5 * 96 / 2  # column where the middle of the plane is seen
    assert mask.shape == (96, 128)
    row = mask[48]
    assert row[int(boundary) - 12 : int(boundary) - 3].all() and not row[int(boundary) + 4 :].any()


def test_free_camera_that_looks_away_finds_nothing() -> None:
    away = torch.diag(torch.tensor([-1.0, 1, -1, 1]))
    K = torch.tensor([[96.0, 0, 63.5], [0, 96.0, 47.5], [0, 0, 1]])
    found = query_prediction(BACKEND, scene(BACKEND), ["chair"], camera=Camera(K, 128, 96, away))
    assert found.presence == [0.0] and not found.masks[0][0].any()


def test_what_cannot_be_answered_is_a_typed_error() -> None:
    prediction = scene(BACKEND)
    mute = MuteBackend(BACKEND.words)
    K = torch.tensor([[96.0, 0, 63.5], [0, 96.0, 47.5], [0, 0, 1]])
    with pytest.raises(UnsupportedError, match="no language features"):
        query_prediction(mute, prediction, ["chair"])
    with pytest.raises(UnsupportedError):
        query_prediction(BACKEND, replace(prediction, features=None), ["chair"])
    with pytest.raises(UnsupportedError):
        query_prediction(BACKEND, replace(prediction, gaussians=None), ["chair"], camera=Camera(K, 128, 96))
    with pytest.raises(QueryError):
        query_prediction(BACKEND, prediction, [""])
    with pytest.raises(QueryError):
        query_prediction(BACKEND, prediction, ["chair"], thresholds=[0.1, 0.2])
    with pytest.raises(QueryError):
        query_prediction(BACKEND, prediction, ["chair"], thresholds=[1.5])


def test_backend_query_is_the_same_call() -> None:
    found = BACKEND.query(scene(BACKEND), ["chair"], thresholds=0.5)
    assert found.masks[0][0].any()


def test_text_adopts_only_names_that_mean_the_same() -> None:
    vocabulary = embed_vocabulary(BACKEND)
    weights = adoption(vocabulary, BACKEND.encode_texts(["couch", "elephant", "chair"]))
    assert [NAMES[j] for j in weights[0].nonzero().flatten()] == ["sofa"]
    assert float(weights[1].max()) < 0.3 and float(weights[2, NAMES.index("chair")]) == 1.0


def test_adopted_name_leaves_the_background() -> None:
    cosines = torch.tensor([[0.1, 0.9, 0.2]])  # text, a name it adopts, another name
    alone = torch.zeros(1, 1)
    rival = text_scores(cosines, torch.tensor([[0.0, 0.0]]), alone, 20.0)
    adopted = text_scores(cosines, torch.tensor([[1.0, 0.0]]), alone, 20.0)
    assert float(rival) < 1e-3 and float(adopted) > 0.99


def test_score_is_half_where_the_best_rival_draws() -> None:
    cosines = torch.tensor([[0.6, 0.6, 0.2]])
    assert float(text_scores(cosines, torch.zeros(1, 2), torch.zeros(1, 1), 20.0)) == pytest.approx(0.5)
    two = text_scores(cosines, torch.zeros(2, 1), torch.zeros(2, 2), 20.0)
    assert two[0].tolist() == pytest.approx([0.5, 0.5])


def test_texts_of_one_meaning_do_not_fight() -> None:
    cosines = torch.tensor([[0.7, 0.6, 0.1]])  # two texts, one name
    kin = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
    assert float(text_scores(cosines, torch.zeros(2, 1), torch.zeros(2, 2), 20.0)[0, 1]) < 0.2
    assert float(text_scores(cosines, torch.zeros(2, 1), kin, 20.0).min()) > 0.99
    found = query_prediction(BACKEND, scene(BACKEND, ("sofa", "wall")), ["couch", "sofa"])
    assert all(mask[:, :60].all() for mask in found.masks[0])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_best_rival_equals_the_plain_search(seed: int, count: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    cosines = 2 * torch.rand(7, count + 5, generator=generator) - 1
    kin = torch.rand(count, count, generator=generator) * (torch.rand(count, count, generator=generator) > 0.5)
    fast = text_scores(cosines, torch.zeros(count, 5), kin, 8.0)
    for t in range(count):
        rivals = [8.0 * cosines[:, count:].amax(1)]
        rivals += [8.0 * cosines[:, u] + (1 - kin[t, u]).log() for u in range(count) if u != t]
        expected = (8.0 * cosines[:, t] - torch.stack(rivals).amax(0)).sigmoid()
        assert torch.allclose(fast[:, t], expected, atol=1e-5)


def test_enlarged_map_keeps_positions_of_the_affine() -> None:
    scores = np.zeros((10, 10), np.float32)
    scores[4, 6] = 1.0
    affine = np.array([[4.0, 0, 11.5], [0, 3.0, 7.0], [0, 0, 1]])
    large = to_image(scores, affine, (60, 80))
    y, x = np.unravel_index(large.argmax(), large.shape)
    assert abs(x - (4 * 6 + 11.5)) <= 0.5 and abs(y - (3 * 4 + 7.0)) <= 0.5


def test_turned_grid_leaves_the_corners_of_the_image_empty() -> None:
    c, s = np.cos(0.5), np.sin(0.5)
    affine = np.array([[5 * c, -5 * s, 40.0], [5 * s, 5 * c, 5.0], [0, 0, 1]])
    large = to_image(np.ones((10, 10), np.float32), affine, (80, 80))
    assert set(np.unique(large)) == {0.0, 1.0} and large.sum() == pytest.approx(100 * 25, rel=0.05)
    assert large[0, 0] == large[0, -1] == large[-1, -1] == 0


def test_presence_rises_with_the_best_pixels_only() -> None:
    few = torch.zeros(10_000, 1)
    few[:30] = 0.9
    one = torch.zeros(10_000, 1)
    one[0] = 1.0
    from lsm_core.query.text_to_mask import presence

    config = QueryConfig(presence_share=0.003, presence_low=0.2, presence_high=0.7)
    assert presence(few, config) == [1.0] and presence(one, config) == [0.0]
    assert presence(torch.zeros(0, 2), config) == [0.0, 0.0]
