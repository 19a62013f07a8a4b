"""Texts asked on free cameras: drawing 64 channels and decoding is drawing the text space's 512."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import lsm_core
from lsm_core.backends.base import Backend
from lsm_core.backends.seeded_checkpoints import write_checkpoints
from lsm_core.errors import UnsupportedError
from lsm_core.query import QueryConfig, TextScorer, query_gaussians, query_prediction
from lsm_core.query.drawn_features import render_features
from lsm_core.query.text_to_mask import text_scores
from lsm_core.query.vocabulary import adoption, embed_vocabulary, kinship
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians

from .word_backend import MuteBackend, WordBackend, scene

TEXTS = ["chair", "wall", "couch"]
CAMERA = Camera(torch.tensor([[40.0, 0, 23.5], [0, 40.0, 17.5], [0, 0, 1]]), 48, 36)


def cloud(width: int, count: int = 600, seed: int = 3) -> Gaussians:
    """Return half-transparent Gaussians that overlap, with a feature of unit size each."""
    g = torch.Generator().manual_seed(seed)
    return Gaussians(
        torch.rand(count, 3, generator=g) * torch.tensor([3.0, 2.2, 3.0]) - torch.tensor([1.5, 1.1, -1.5]),
        torch.nn.functional.normalize(torch.randn(count, 4, generator=g), dim=-1),
        torch.exp(torch.randn(count, 3, generator=g) * 0.4 - 2.3),
        torch.rand(count, generator=g) * 0.8 + 0.1,
        torch.zeros(count, 1, 3),
        torch.randn(count, width, generator=g),
    )


def slow_twin(backend: Backend, gaussians: Gaussians, camera: Camera, config: QueryConfig) -> torch.Tensor:
    """Expand every Gaussian to the text space, draw all those channels, compare with the texts: [h, w, T]."""
    assert gaussians.features is not None
    expanded = replace(gaussians, features=backend.decode_features(gaussians.features).detach().cpu())
    seen = render(expanded, camera, features=True)
    assert seen.features is not None
    vocabulary = embed_vocabulary(backend)
    asked = backend.encode_texts(TEXTS).float().cpu()
    directions = torch.cat([asked, vocabulary.names])
    flat = torch.nn.functional.normalize(seen.features.flatten(0, 1), dim=-1)
    adopted = adoption(vocabulary, asked)
    scale = float(getattr(backend, "text_logit_scale", config.logit_scale))
    scores = text_scores(flat @ directions.T, adopted, kinship(vocabulary, asked, adopted), scale)
    return scores.unflatten(0, seen.alpha.shape) * (seen.alpha >= config.min_alpha)[..., None]


def lsm_small(folder: Path) -> Backend:
    write_checkpoints(folder)
    return lsm_core.load_backend("lsm", "cpu", folder)


@pytest.mark.parametrize("name", ["words", "curved words", "lsm-tiny", "lsm"])
def test_scores_of_drawn_features_equal_those_of_features_expanded_first(name: str, tmp_path: Path) -> None:
    """To 2e-5: the same sums, in another order and in float32, times an inverse temperature of up to 20."""
    words = ["chair", "wall", "sofa", "floor"]
    backend: Backend
    if name == "lsm":
        backend = lsm_small(tmp_path)
    elif name == "lsm-tiny":
        backend = lsm_core.load_backend("lsm-tiny", "cpu")
    else:
        backend = WordBackend(words, linear=name == "words", bias=0.6)
    gaussians = cloud(16 if "words" in name else 64)
    config = QueryConfig()
    with torch.inference_mode():
        scores = TextScorer(backend, TEXTS, gaussians.features.shape[1], config).rendered(
            render_features(gaussians, CAMERA)
        )
        twin = slow_twin(backend, gaussians, CAMERA, config)
    assert float(twin.std()) > 1e-3  # they say something
    if name == "curved words":  # no affine decoder: the order matters, so this shows that the test can fail
        assert float((scores - twin).abs().max()) > 1e-3
    else:
        torch.testing.assert_close(scores, twin, atol=2e-5, rtol=0)


def test_a_bias_counts_once_however_transparent_the_scene() -> None:
    backend = WordBackend(["chair", "lamp"], bias=0.8)
    thin, thick = (replace(cloud(16), opacities=torch.full((600,), o)) for o in (0.02, 0.95))
    for gaussians in (thin, thick):
        plain = replace(gaussians, features=backend.feature("chair").expand(600, -1))
        seen = render_features(plain, CAMERA)
        scores = TextScorer(backend, ["chair"], 16, QueryConfig(min_alpha=0.01)).rendered(seen)
        covered = scores[seen.alpha > 0.02]
        assert len(covered) > 100
        torch.testing.assert_close(covered, covered[:1].expand_as(covered), atol=1e-4, rtol=0)


def test_a_prediction_asked_on_a_camera_gives_what_its_gaussians_give() -> None:
    backend = WordBackend(["chair", "wall"])
    prediction = scene(backend)
    camera = prediction.camera(0).resized(64, 48)
    one = query_prediction(backend, prediction, TEXTS, camera=camera)
    assert prediction.gaussians is not None
    two = query_gaussians(backend, prediction.gaussians, [camera, camera], TEXTS)
    assert len(two.masks) == 2 and two.masks[0][0].shape == (48, 64)
    for a, b in zip(one.scores[0], two.scores[1], strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.masks[0][0].mean() > 0.4


def test_a_mask_moves_with_the_camera() -> None:
    backend = WordBackend(["chair", "wall"])
    prediction = scene(backend)  # the chair fills the left half of a wall 2 units away
    centres = []
    for shift in (0.0, -0.4):
        pose = torch.eye(4)
        pose[0, 3] = shift
        camera = replace(prediction.camera(0).resized(64, 48), T_scene_cam=pose)
        mask = backend.query(prediction, ["chair"], camera=camera).masks[0][0]
        centres.append(float(np.nonzero(mask)[1].max()))
    moved = 0.4 / 2 * float(prediction.camera(0).resized(64, 48).K[0, 0])
    assert centres[1] - centres[0] == pytest.approx(moved, abs=1.5)


def test_what_cannot_be_asked_says_why() -> None:
    backend = WordBackend(["chair"])
    with pytest.raises(UnsupportedError, match="no Gaussians with language features"):
        query_gaussians(backend, replace(cloud(16), features=None), [CAMERA], ["chair"])
    with pytest.raises(UnsupportedError, match="7 channels"):
        query_gaussians(backend, cloud(7), [CAMERA], ["chair"])
    with pytest.raises(UnsupportedError, match="no language"):
        query_gaussians(MuteBackend(["chair"]), cloud(16), [CAMERA], ["chair"])
