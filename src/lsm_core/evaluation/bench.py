"""How long a pair takes: medians per stage, after warm-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from lsm_core.backends.base import Backend
from lsm_core.evaluation.pairs import EvalPair
from lsm_core.evaluation.tables import Cell, Column, Table

KEPT, TOTAL = "one raw image, features of the other kept", "two raw images (total)"


@dataclass(frozen=True)
class StageTime:
    """Times of one stage in milliseconds: wall time, and processor time of all threads together."""

    name: str
    median_ms: float
    p10_ms: float
    p90_ms: float
    cpu_ms: float


def bench_pair(
    backend: Backend, pair: EvalPair, repeats: int = 20, warmup: int = 3, texts: Sequence[str] = ()
) -> list[StageTime]:
    """Time the stages of a pair through the public API.

    Args:
        backend: any backend.
        pair: its images and intrinsics.
        repeats: timed runs per stage.
        warmup: runs before that.
        texts: also time a query with these texts, where the backend has language features.

    Returns:
        Encoding one image, the pair from two encoded images (pose included), a new image beside an encoded one,
        both images new, and the query.
    """
    views = pair.views
    generator = torch.Generator().manual_seed(0)
    encoded = [backend.encode(v.image, v.K) for v in views]
    prediction = backend.predict(encoded, generator=generator)
    stages: list[tuple[str, Callable[[], object]]] = [
        ("encode one image", lambda: backend.encode(views[0].image, views[0].K)),
        ("encoded pair, pose included", lambda: backend.predict(encoded, generator=generator)),
        (KEPT, lambda: backend.predict([encoded[0], views[1].image], [None, views[1].K], generator=generator)),
        (
            TOTAL,
            lambda: backend.predict([v.image for v in views], [v.K for v in views], generator=generator),
        ),
    ]
    if texts and backend.has_language:
        stages.append((f"masks of {len(texts)} texts", lambda: backend.query(prediction, list(texts))))
    return [time_stage(name, run, repeats, warmup, backend.device) for name, run in stages]


def bench_table(title: str, stages: Sequence[StageTime], note: str) -> Table:
    """Return one row per stage, with the ratio to the total."""
    total = next(s.median_ms for s in stages if "total" in s.name)
    columns = [
        Column("stage"),
        Column("ms", ".1f"),
        Column("p10", ".1f"),
        Column("p90", ".1f"),
        Column("CPU ms", ".1f"),
        Column("share", ".2f"),
    ]
    rows: list[list[Cell]] = [
        [s.name, s.median_ms, s.p10_ms, s.p90_ms, s.cpu_ms, s.median_ms / total] for s in stages
    ]
    return Table(title, columns, rows, note)


def median_s(stages: Sequence[StageTime], name: str) -> float:
    """Return the median time of a stage in seconds."""
    return next(s.median_ms for s in stages if s.name == name) / 1e3


def time_stage(name: str, run: Callable[[], object], repeats: int, warmup: int, device: torch.device) -> StageTime:
    """Run a stage `warmup + repeats` times and return the times of the last `repeats`."""
    times, cpu_times = [], []
    for index in range(warmup + repeats):
        start, cpu_start = time.perf_counter(), time.process_time()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if index >= warmup:
            times.append(1e3 * (time.perf_counter() - start))
            cpu_times.append(1e3 * (time.process_time() - cpu_start))
    p10, median, p90 = np.percentile(times, [10, 50, 90])
    return StageTime(name, float(median), float(p10), float(p90), float(np.median(cpu_times)))
