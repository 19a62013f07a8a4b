"""Run a backend and the baselines over the same pairs: what the studies of relative poses and depth share."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from lsm_core.backends.base import Backend
from lsm_core.evaluation.baselines import XFEAT_MISSING, baselines
from lsm_core.evaluation.depth_metrics import DepthError
from lsm_core.evaluation.geometry_tables import (
    direction_median,
    mean_of,
    rotation_good_share,
    rotation_median,
)
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.records import PairRecord, constant_depth_errors, run_backend, run_pose_method
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.rooms import ROOM_TEXTS
from lsm_core.evaluation.sheet import pair_row, pair_sheet
from lsm_core.evaluation.switches import DepthAlignment
from lsm_core.evaluation.tables import Table
from lsm_core.io.sheets import Panel
from lsm_core.nn.xfeat import XFeat
from lsm_core.types import Prediction

Progress = Callable[[int, int], None]
Visit = Callable[[EvalPair, Prediction], None]


@dataclass(frozen=True)
class StudyOptions:
    """How much of a study is run.

    Attributes:
        limit: at most this many pairs or images, evenly spread; None for all.
        known_intrinsics: give the backend the true intrinsics.
        with_baselines: also run the classical methods.
        known_baselines: their records from an earlier report over the same pairs, which are then not run again;
            they do not depend on the backend.
        sheet_rows: pairs in the picture; 0 for none.
        progress: called with (done, all) after each pair.
        depth_alignment: what is taken out of depths before they are compared; see `Switches`.
        xfeat: adds XFeat to the baselines at full size; without it their table says that its weights are missing.
    """

    limit: int | None = None
    known_intrinsics: bool = True
    with_baselines: bool = True
    known_baselines: Mapping[str, Sequence[PairRecord]] = field(default_factory=dict)
    sheet_rows: int = 0
    progress: Progress = lambda done, total: None
    depth_alignment: DepthAlignment = "median"
    xfeat: XFeat | None = None


@dataclass(frozen=True)
class Measured:
    """Records of the backend and of the baselines over the same pairs.

    Attributes:
        methods: by name, the backend first.
        constant: per pair the error of one constant depth.
        rows: of the picture.
    """

    methods: dict[str, list[PairRecord]]
    constant: list[DepthError | None]
    rows: list[list[Panel]]


def measure_methods(
    backend: Backend,
    pairs: Sequence[EvalPair],
    opts: StudyOptions,
    full_resolution: bool,
    visit: Visit | None = None,
) -> Measured:
    """Run the backend and the baselines over the pairs.

    Args:
        backend, pairs, opts: what is run on what.
        full_resolution: also run the baselines on images as they are.
        visit: called with each pair and its prediction.
    """
    drawn = {id(pair) for pair in evenly_spaced(pairs, opts.sheet_rows)} if opts.sheet_rows else set()
    records: list[PairRecord] = []
    constant: list[DepthError | None] = []
    rows: list[list[Panel]] = []
    for pair, prediction, record in run_backend(backend, pairs, opts.known_intrinsics, opts.depth_alignment):
        records.append(record)
        constant.append(constant_depth_errors(pair, prediction, opts.depth_alignment))
        if visit is not None:
            visit(pair, prediction)
        if id(pair) in drawn:
            rows.append(pair_row(backend, pair, prediction, record, ROOM_TEXTS))
        opts.progress(len(records), len(pairs))
    methods = {backend.name: records}
    if opts.with_baselines:
        names = [pair.name for pair in pairs]
        for baseline in baselines(full_resolution, opts.xfeat):
            known = list(opts.known_baselines.get(baseline.name, ()))
            same = [record.name for record in known] == names
            methods[baseline.name] = known if same else run_pose_method(baseline.pose, pairs)
        if full_resolution and opts.xfeat is None:
            methods[XFEAT_MISSING] = []
    return Measured(methods, constant, rows)


def constant_groups(groups: dict[str, list[PairRecord]], measured: Measured) -> dict[str, list[DepthError]]:
    """Return the constant-depth errors of the same pairs as each group's records."""
    ours = next(iter(measured.methods.values()))
    by_record = {id(r): c for r, c in zip(ours, measured.constant, strict=True)}
    return {name: [c for r in records if (c := by_record[id(r)]) is not None] for name, records in groups.items()}


def pair_report(
    command: str,
    backend: Backend,
    tables: list[Table],
    measured: Measured,
    main: list[PairRecord],
    opts: StudyOptions,
    more: Mapping[str, float] | None = None,
) -> EvalReport:
    """Collect the main figures and draw the sheet.

    Args:
        command, backend, tables: of the report.
        measured: what was found.
        main: the records that the main figures of poses are of.
        opts: how the study was run.
        more: further figures.
    """
    ours = measured.methods[backend.name]
    figures = {
        "rotation_median_deg": rotation_median(main),
        "rotation_below_10_deg": rotation_good_share(main),
        "direction_median_deg": direction_median(main),
        "depth_absrel": mean_of([r.depth[0] for r in ours if r.depth[0] is not None], lambda e: e.absrel),
        "depth_absrel_constant": mean_of([c for c in measured.constant if c is not None], lambda e: e.absrel),
        "seconds_per_pair": float(np.median([r.seconds for r in ours])) if ours else math.nan,
        "cpu_seconds_per_pair": float(np.median([r.cpu_seconds for r in ours])) if ours else math.nan,
    }
    figures |= more or {}
    where = provenance(backend.device)
    sheet = pair_sheet(command, f"{backend.name}; {where.line()}", measured.rows) if measured.rows else None
    return EvalReport(command, backend.name, tables, figures, where, measured.methods, sheet)
