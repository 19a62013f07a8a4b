"""Run a backend over pairs and keep what was measured, pair by pair."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.errors import GeometryError
from lsm_core.evaluation.depth_metrics import DepthError, depth_error, pointmap_error
from lsm_core.evaluation.grid import grid_intrinsics, sample_on_grid
from lsm_core.evaluation.pairs import EvalPair, EvalView
from lsm_core.evaluation.pose_metrics import FAILED_POSE, PoseError, pose_error
from lsm_core.evaluation.switches import DepthAlignment
from lsm_core.geometry.camera import transform_points, unproject
from lsm_core.types import Prediction

MIN_DIRECTION_BASELINE_M = 0.05

Progress = Callable[[int, int], None]
PoseMethod = Callable[[EvalPair], Tensor]


@dataclass(frozen=True)
class PairRecord:
    """What was measured on one pair.

    Attributes:
        name: of the pair.
        overlap: share of view 0 that view 1 sees.
        baseline_m: true distance between the cameras.
        pose: error of the relative pose; `FAILED_POSE` where none was given.
        pose_found: whether a pose was given.
        validity: the backend's own judgement, NaN for baselines.
        depth: per view errors of the depth map (None where there is no truth).
        sure_depth: view 0's errors on the half of its measured pixels with the higher confidence.
        pointmap1: median relative error of view 1's points in camera 0, NaN where unknown.
        seconds: wall time for the whole pair.
        cpu_seconds: processor time for it, all threads together; unlike wall time it hardly depends on what else
            runs on the machine.
    """

    name: str
    overlap: float
    baseline_m: float
    pose: PoseError
    pose_found: bool
    validity: float = math.nan
    depth: tuple[DepthError | None, DepthError | None] = (None, None)
    sure_depth: DepthError | None = None
    pointmap1: float = math.nan
    seconds: float = math.nan
    cpu_seconds: float = math.nan

    @property
    def direction_counts(self) -> bool:
        """Whether the true baseline is long enough for the translation's direction to mean something."""
        return self.baseline_m >= MIN_DIRECTION_BASELINE_M


def run_backend(
    backend: Backend,
    pairs: Sequence[EvalPair],
    known_intrinsics: bool = True,
    depth_alignment: DepthAlignment = "median",
) -> Iterator[tuple[EvalPair, Prediction, PairRecord]]:
    """Predict each pair through the public API and measure it.

    Args:
        backend: any backend.
        pairs: with ground truth.
        known_intrinsics: give the backend the true intrinsics; one that needs them gets them anyway.
        depth_alignment: what is taken out of depths before they are compared.

    A backend that must be told poses is told the true ones, so its pose errors say nothing and its depths do.
    """
    for pair in pairs:
        intrinsics = [v.K for v in pair.views] if known_intrinsics or backend.needs_intrinsics else [None, None]
        poses = [torch.eye(4), pair.T_cam0_cam1] if backend.needs_poses else None
        start, cpu_start = time.perf_counter(), time.process_time()
        prediction = backend.predict([v.image for v in pair.views], intrinsics, poses)
        if backend.device.type == "cuda":
            torch.cuda.synchronize(backend.device)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        yield pair, prediction, measure(pair, prediction, seconds, cpu_seconds, depth_alignment)


def measure(
    pair: EvalPair,
    prediction: Prediction,
    seconds: float = math.nan,
    cpu_seconds: float = math.nan,
    depth_alignment: DepthAlignment = "median",
) -> PairRecord:
    """Compare one prediction with the truth."""
    found = prediction.pose_valid[1]
    pose = pose_error(pair.T_cam0_cam1, prediction.poses[1]) if found else FAILED_POSE
    return PairRecord(
        name=pair.name,
        overlap=pair.overlap,
        baseline_m=float(pair.T_cam0_cam1[:3, 3].norm()),
        pose=pose,
        pose_found=found,
        validity=prediction.validity,
        depth=(
            _depth(pair, prediction, 0, depth_alignment),
            _depth(pair, prediction, 1, depth_alignment) if found else None,
        ),
        sure_depth=_sure_depth(pair, prediction, depth_alignment),
        pointmap1=_pointmap1(pair, prediction) if found else math.nan,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


def run_pose_method(method: PoseMethod, pairs: Sequence[EvalPair]) -> list[PairRecord]:
    """Measure a method that gives only T_cam0_cam1 and raises `GeometryError` where it finds none."""
    records = []
    for pair in pairs:
        start, cpu_start = time.perf_counter(), time.process_time()
        try:
            pose, found = pose_error(pair.T_cam0_cam1, method(pair)), True
        except GeometryError:
            pose, found = FAILED_POSE, False
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
        baseline_m = float(pair.T_cam0_cam1[:3, 3].norm())
        records.append(
            PairRecord(pair.name, pair.overlap, baseline_m, pose, found, seconds=seconds, cpu_seconds=cpu_seconds)
        )
    return records


def constant_depth_errors(
    pair: EvalPair, prediction: Prediction, alignment: DepthAlignment = "median"
) -> DepthError | None:
    """Return the error of one constant depth on the pixels where view 0's depth is measured."""
    true = _true_depth(pair.views[0], prediction, 0)
    return None if true is None else depth_error(torch.ones_like(true), true, alignment)


def _true_depth(view: EvalView, prediction: Prediction, index: int) -> Tensor | None:
    """Return the true depth on the prediction's grid, or None."""
    return None if view.depth is None else sample_on_grid(prediction, index, view.depth)


def _depth(pair: EvalPair, prediction: Prediction, index: int, alignment: DepthAlignment) -> DepthError | None:
    """Return the depth error of a view, or None where its depth is not known."""
    true = _true_depth(pair.views[index], prediction, index)
    return None if true is None else depth_error(prediction.depth(index).detach().cpu().float(), true, alignment)


def _sure_depth(pair: EvalPair, prediction: Prediction, alignment: DepthAlignment) -> DepthError | None:
    """Return view 0's depth error on the half of its measured pixels with the highest confidence."""
    true = _true_depth(pair.views[0], prediction, 0)
    if true is None or not bool((true > 0).any()):
        return None
    measured = (true > 0).flatten().nonzero()[:, 0]
    confidence = prediction.confidence[0].detach().cpu().float().flatten()[measured]
    sure = measured[confidence.argsort(descending=True, stable=True)[: (len(measured) + 1) // 2]]
    chosen = torch.zeros(true.numel())
    chosen[sure] = true.flatten()[sure]
    return depth_error(prediction.depth(0).detach().cpu().float(), chosen.reshape(true.shape), alignment)


def _pointmap1(pair: EvalPair, prediction: Prediction) -> float:
    """Return the error of view 1's pointmap in camera 0, NaN where depth or intrinsics are not known."""
    true_points = []
    for index, (view, T_cam0_cam) in enumerate(zip(pair.views, (torch.eye(4), pair.T_cam0_cam1), strict=True)):
        true = _true_depth(view, prediction, index)
        if true is None or view.K is None:
            return math.nan
        points = transform_points(T_cam0_cam, unproject(true, grid_intrinsics(prediction, index, view.K)))
        points[true <= 0] = 0
        true_points.append(points)
    predicted = [p.detach().cpu().float() for p in prediction.pointmaps]
    return pointmap_error(predicted, true_points, view=1)
