"""How long a text query takes on a kept view: cached features and embeddings, no pass through a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch

from lsm_core.backends.base import Backend
from lsm_core.errors import UnsupportedError
from lsm_core.evaluation.bench import StageTime, time_stage
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.mapping import cloud_from_view
from lsm_core.query import find_instances, query_prediction
from lsm_core.query.text_scorer import TextScorer
from lsm_core.query.text_to_mask import QueryConfig
from lsm_core.types import Prediction

TARGET_MS = 50.0
ANSWER = "masks, labels, scores, presence"


def on_grid(prediction: Prediction, width: int, height: int) -> Prediction:
    """Return the prediction with its features sampled on another grid of the same area (for timing only).

    Raises:
        UnsupportedError: the prediction has no language features.
    """
    if prediction.features is None:
        raise UnsupportedError("This prediction carries no language features.", "Time a backend that has them.")
    resized = []
    for view, features in enumerate(prediction.features):
        if prediction.feature_to_image is not None:
            raise UnsupportedError(f"View {view} has a feature grid of its own.", "Time it as it is.")
        channels = features.detach().float().cpu().permute(2, 0, 1)[None]
        large = torch.nn.functional.interpolate(channels, (height, width), mode="bilinear", align_corners=False)
        resized.append(large[0].permute(1, 2, 0).contiguous())
    return replace(prediction, features=resized)


def bench_query(
    backend: Backend, prediction: Prediction, texts: Sequence[str], repeats: int = 30, warmup: int = 3
) -> list[StageTime]:
    """Time a query on view 0 and its parts, the texts' embeddings cached.

    Args:
        backend: whose features the prediction carries.
        prediction: as a kept keyframe holds it.
        texts: what is asked.
        repeats, warmup: timed runs per stage, and runs before.

    Returns:
        The whole answer, then the scores on the feature grid, the answer with points and objects in 3D, and, not
        part of it, embedding as many texts for the first time.
    """
    if prediction.features is None:
        raise UnsupportedError("This prediction carries no language features.", "Time a backend that has them.")
    features, asked = prediction.features[0], list(texts)
    limits = QueryConfig()
    fresh = iter(range(10**9))
    stages: list[tuple[str, Callable[[], object]]] = [
        (ANSWER, lambda: query_prediction(backend, prediction, asked, views=[0])),
        ("of it: scores on the grid", lambda: TextScorer(backend, asked, features.shape[-1], limits)(features)),
        ("with points and objects", lambda: _with_objects(backend, prediction, asked)),
        ("first time: embedding the texts", lambda: backend.encode_texts([f"{t} {next(fresh)}" for t in asked])),
    ]
    return [time_stage(name, run, repeats, warmup, backend.device) for name, run in stages]


def query_table(title: str, stages: Sequence[StageTime], note: str) -> Table:
    """Return one row per stage; the answer's has the target beside it."""
    names = ("ms", "p10", "p90", "CPU ms", "target ms")
    rows: list[list[Cell]] = [
        [s.name, s.median_ms, s.p10_ms, s.p90_ms, s.cpu_ms, TARGET_MS if s.name == ANSWER else None] for s in stages
    ]
    return Table(title, [Column("stage"), *(Column(name, ".1f") for name in names)], rows, note)


def _with_objects(backend: Backend, prediction: Prediction, texts: list[str]) -> object:
    """Answer as the node does: masks, then the labelled cloud and the things in it."""
    found = query_prediction(backend, prediction, texts, views=[0])
    labels = found.labels[0]
    best = np.take_along_axis(np.stack(found.scores[0]), np.maximum(labels, 0)[None], 0)[0]
    return find_instances(cloud_from_view(prediction, 0, labels, best), up=(0, -1, 0))
