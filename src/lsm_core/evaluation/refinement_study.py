"""What refining does to a backend's poses on real images: by Adam as NoPoSplat does it, and by Gauss-Newton."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lsm_core.backends.base import Backend
from lsm_core.evaluation.goals import GOOD_OVERLAP
from lsm_core.evaluation.hololens import read_recording
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.pose_metrics import PoseError, pose_auc, pose_error
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.sequences import choose_pairs, load_pairs
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.geometry.pose_refinement import RefineOptions
from lsm_core.geometry.refined_prediction import EXTRA, PoseRefinement, refine_prediction
from lsm_core.nn.lpips import Lpips
from lsm_core.types import Prediction

PATIENCE = 20
Refine = Callable[[Prediction], Prediction]


class _Tally:
    """What one way did over the pairs."""

    def __init__(self) -> None:
        self.errors: list[PoseError] = []
        self.psnr: list[float] = []
        self.cpu_s: list[float] = []
        self.steps: list[int] = []

    def add(
        self, pair: EvalPair, prediction: Prediction, record: PoseRefinement, psnr: float, cpu_s: float
    ) -> None:
        """Count one pair."""
        self.errors.append(pose_error(pair.T_cam0_cam1, prediction.poses[1]))
        self.psnr.append(psnr)
        self.cpu_s.append(cpu_s)
        self.steps.append(record.steps)


def study_refinement(
    backend: Backend,
    shared: Path,
    options: StudyOptions | None = None,
    lpips: Lpips | None = None,
    adam: bool = True,
) -> EvalReport:
    """Refine the poses of pairs of the HoloLens recording that overlap, in each way from the same predictions.

    Args:
        backend: with Gaussians.
        shared: folder with the data.
        options: how many pairs.
        lpips: adds a row with LPIPS in Adam's loss.
        adam: also by Adam, which takes forty times as long.

    Raises:
        FileFormatError: the recording is absent or damaged.
        UnsupportedError: the backend has no Gaussians.
    """
    opts = options or StudyOptions()
    recording = read_recording(shared)
    chosen = [choice for choice in choose_pairs(recording) if choice.overlap > GOOD_OVERLAP]
    pairs = load_pairs(recording, evenly_spaced(chosen, opts.limit))
    ways = _ways(lpips, adam)
    tallies = {name: _Tally() for name in ("as predicted", *ways)}
    for done, pair in enumerate(pairs):
        K = [view.K for view in pair.views] if opts.known_intrinsics else None
        prediction = backend.predict([view.image for view in pair.views], K)
        if all(prediction.pose_valid):
            _measure(prediction, pair, ways, tallies)
        opts.progress(done + 1, len(pairs))
    counted = len(tallies["as predicted"].errors)
    table = _table(tallies, counted, len(pairs))
    figures = {f"{name}: {what}": value for name, t in tallies.items() for what, value in _figures(t).items()}
    return EvalReport("lsm eval refine", backend.name, [table], figures, provenance(backend.device))


def _ways(lpips: Lpips | None, adam: bool) -> dict[str, Refine]:
    """Return the ways to refine, by name."""
    ways: dict[str, Refine] = {"Gauss-Newton": lambda p: refine_prediction(p, "gauss-newton")}
    if not adam:
        return ways
    patient = RefineOptions(patience=PATIENCE)
    ways[f"Adam, patience {PATIENCE}"] = lambda p: refine_prediction(p, "adam", patient)
    ways["Adam, 200 steps"] = lambda p: refine_prediction(p, "adam")
    if lpips is not None:
        ways["Adam, 200 steps, LPIPS"] = lambda p: refine_prediction(p, "adam", lpips=lpips)
    return ways


def _measure(prediction: Prediction, pair: EvalPair, ways: dict[str, Refine], tallies: dict[str, _Tally]) -> None:
    for place, (name, refine) in enumerate(ways.items()):
        start = time.process_time()
        found = refine(prediction)
        cpu_s = time.process_time() - start
        (record,) = found.extras[EXTRA]
        tallies[name].add(pair, found, record, record.psnr_after, cpu_s)
        if place == 0:
            tallies["as predicted"].add(pair, prediction, record, record.psnr_before, 0.0)


def _figures(tally: _Tally) -> dict[str, float]:
    if not tally.errors:
        return {}
    auc = pose_auc([error.worst_deg for error in tally.errors])
    return {
        "rotation_median_deg": float(np.median([error.rotation_deg for error in tally.errors])),
        "direction_median_deg": float(np.median([error.direction_deg for error in tally.errors])),
        "auc_10": auc[1],
        "auc_20": auc[2],
        "psnr_median": float(np.median(tally.psnr)),
        "drawn_median": float(np.median(tally.steps)),
        "cpu_s_median": float(np.median(tally.cpu_s)),
    }


def _table(tallies: dict[str, _Tally], counted: int, asked: int) -> Table:
    columns = [
        Column("poses"),
        Column("rotation °", ".2f"),
        Column("direction °", ".1f"),
        Column("AUC@10", ".3f"),
        Column("AUC@20", ".3f"),
        Column("PSNR dB", ".2f"),
        Column("steps", ".0f"),
        Column("CPU s", ".2f"),
    ]
    rows: list[list[Cell]] = [[name, *_figures(tally).values()] for name, tally in tallies.items()]
    rows[0][-2:] = [float("nan"), float("nan")]
    note = (
        f"Medians over the {counted} of {asked} pairs (overlap above {GOOD_OVERLAP}) with a pose, all "
        "from the same predictions. Direction: signed. PSNR: view 1 drawn from the pose against its image. Steps: "
        "views drawn. CPU s: of the refinement alone, all threads."
    )
    return Table("Poses made to fit the Gaussians", columns, rows, note)
