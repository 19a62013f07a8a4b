"""A query on a kept view runs no network, and its benchmark measures the whole answer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lsm_core import load_backend
from lsm_core.backends.base import Backend
from lsm_core.cli.main import main
from lsm_core.evaluation.bench_query import ANSWER, on_grid
from lsm_core.evaluation.bench_scene import textured_pair
from lsm_core.types import Prediction


@pytest.fixture(scope="module")
def kept() -> tuple[Backend, Prediction]:
    backend = load_backend("lsm-tiny", "cpu")
    return backend, backend.predict([view.image for view in textured_pair(160, 120).views])


def test_known_texts_are_answered_without_a_network(
    kept: tuple[Backend, Prediction], monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, prediction = kept
    first = backend.query(prediction, "chair, table")
    calls: list[str] = []
    forward = torch.nn.Module.__call__

    def counted(module: torch.nn.Module, *values: object, **options: object) -> object:
        calls.append(type(module).__name__)
        return forward(module, *values, **options)

    monkeypatch.setattr(torch.nn.Module, "__call__", counted)
    again = backend.query(prediction, ["chair", "table"])
    assert calls == [] and all(np.array_equal(a, b) for a, b in zip(first.scores[0], again.scores[0], strict=True))
    backend.query(prediction, ["a word never asked before"])
    assert calls  # a new text costs the text encoder, so the counter counts


def test_features_on_another_grid_give_the_same_answer_but_for_sampling(kept: tuple[Backend, Prediction]) -> None:
    backend, prediction = kept
    fine = on_grid(prediction, 256, 192)
    assert fine.features is not None and fine.features[0].shape[:2] == (192, 256)
    texts = ["wall", "floor"]
    one, two = (backend.query(p, texts, views=[0]).scores[0][0] for p in (prediction, fine))
    assert np.abs(one - two).mean() < 0.02


def test_the_table_has_the_answer_and_its_target(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--size", "160x120", "--grid", "64x48", "--repeats", "2", "--texts", "chair; table", "--json"]
    threads = torch.get_num_threads()
    try:
        assert main(["bench", "query", *options]) == 0
    finally:
        torch.set_num_threads(threads)
    document = json.loads(capsys.readouterr().out)
    assert document["grid"] == [64, 48] and document["stages"][0]["name"] == ANSWER
    assert all(0 < stage["p10_ms"] <= stage["median_ms"] <= stage["p90_ms"] for stage in document["stages"])
