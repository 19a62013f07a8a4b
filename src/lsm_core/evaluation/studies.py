"""The three studies: HoloLens recording, rendered rooms, NYU photographs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from lsm_core.backends.base import Backend
from lsm_core.evaluation.bars import Bar, bars_table
from lsm_core.evaluation.baselines import baselines
from lsm_core.evaluation.depth_metrics import DepthError
from lsm_core.evaluation.geometry_tables import (
    above,
    depth_table,
    direction_median,
    mean_of,
    overlap_table,
    pose_table,
    rotation_good_share,
    rotation_median,
    validity_table,
)
from lsm_core.evaluation.goals import depth_goals, label_goals, pose_goals, room_goals
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.evaluation.hololens import (
    OVERLAP_BINS,
    choose_pairs,
    frame_of,
    load_pairs,
    read_recording,
    surface_depth,
)
from lsm_core.evaluation.labelling import label_grid
from lsm_core.evaluation.mask_agreement import MaskAgreement
from lsm_core.evaluation.nyu import NYU_NAMES, NYU_TEXTS, load_nyu, text_to_name
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.records import PairRecord, constant_depth_errors, run_backend, run_pose_method
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.rooms import ROOM_TEXTS, load_room_pairs
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.semantic_tables import FREQUENT_SHARE, class_table, mean_iou_of_frequent, semantic_table
from lsm_core.evaluation.sheet import pair_row, pair_sheet
from lsm_core.evaluation.tables import Table
from lsm_core.evaluation.words import WordStudy
from lsm_core.io.sheets import Panel
from lsm_core.types import Prediction

GOOD_OVERLAP = 0.4
ROOM_MEAN_IOU = 0.25
ROOM_BINS = ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.0))
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
    """

    limit: int | None = None
    known_intrinsics: bool = True
    with_baselines: bool = True
    known_baselines: Mapping[str, Sequence[PairRecord]] = field(default_factory=dict)
    sheet_rows: int = 0
    progress: Progress = lambda done, total: None


@dataclass(frozen=True)
class _Measured:
    """Records of the backend and of the baselines over the same pairs."""

    methods: dict[str, list[PairRecord]]
    constant: list[DepthError | None]
    rows: list[list[Panel]]


def study_hololens(backend: Backend, shared: Path, options: StudyOptions | None = None) -> EvalReport:
    """Measure poses, depth and the agreement of masks on the HoloLens recording.

    Raises:
        FileFormatError: the recording is absent or damaged.
    """
    opts = options or StudyOptions()
    recording = read_recording(shared)
    pairs = load_pairs(recording, evenly_spaced(choose_pairs(recording), opts.limit))
    agreement = MaskAgreement(ROOM_TEXTS)

    def compare_masks(pair: EvalPair, prediction: Prediction) -> None:
        agreement.add(backend, pair, prediction, surface_depth(recording, frame_of(recording, pair.views[1])))

    measured = _measure(
        backend, pairs, opts, full_resolution=True, visit=compare_masks if backend.has_language else None
    )
    ours = measured.methods[backend.name]
    good = {name: above(records, GOOD_OVERLAP) for name, records in measured.methods.items()}
    groups = {"all": ours, f"overlap > {GOOD_OVERLAP}": good[backend.name]}
    depth = depth_table("Depth on real images (HoloLens kitchen)", groups, _constant_groups(groups, measured))
    tables = [
        _hololens_bars(good[backend.name], ours, measured),
        _hololens_goals(ours, measured, agreement),
        pose_table(f"Relative pose on real images, pairs with overlap > {GOOD_OVERLAP}", good),
        overlap_table("The same by overlap, all pairs", measured.methods, OVERLAP_BINS),
        depth,
        validity_table("The backend's own validity against its errors", ours),
        *([agreement.table()] if agreement.pairs else []),
    ]
    return _report("lsm eval hololens", backend, tables, measured, good[backend.name], opts)


def study_rooms(backend: Backend, data: Path, options: StudyOptions | None = None) -> EvalReport:
    """Measure poses, depth, labels and the agreement of masks on rendered rooms with held-out furniture.

    Raises:
        FileFormatError: the folder holds no shard.
    """
    opts = options or StudyOptions()
    pairs = load_room_pairs(data, opts.limit)
    confusion, words = Confusion(ROOM_TEXTS), WordStudy(ROOM_TEXTS, ROOM_TEXTS)
    agreement = MaskAgreement(ROOM_TEXTS)

    def count_labels(pair: EvalPair, prediction: Prediction) -> None:
        agreement.add(backend, pair, prediction, pair.views[1].depth)
        for index, view in enumerate(pair.views):
            if view.labels is not None and prediction.features is not None:
                true = sample_on_grid(prediction, index, torch.from_numpy(view.labels)).numpy().astype(np.int64) - 1
                confusion.add(true, label_grid(backend, prediction, index, ROOM_TEXTS))
                words.add(backend, prediction, index, true)

    measured = _measure(backend, pairs, opts, full_resolution=False, visit=count_labels)
    ours = measured.methods[backend.name]
    groups = {"all": ours, f"overlap > {GOOD_OVERLAP}": above(ours, GOOD_OVERLAP)}
    tables = [
        pose_table("Relative pose in rendered rooms, held-out furniture", measured.methods),
        overlap_table("The same by overlap", measured.methods, ROOM_BINS),
        depth_table("Depth in rendered rooms", groups, _constant_groups(groups, measured)),
        validity_table("The backend's own validity against its errors", ours),
    ]
    if confusion.pixels:
        frequent = mean_iou_of_frequent(confusion)
        bars = [
            Bar("mIoU, all classes present", confusion.mean_iou, ROOM_MEAN_IOU, at_least=True),
            Bar(f"mIoU, classes ≥ {100 * FREQUENT_SHARE:g} % of pixels", frequent, ROOM_MEAN_IOU, at_least=True),
        ]
        tables.insert(0, bars_table("Bars of version 0: rooms", bars))
        tables.insert(
            1,
            bars_table(
                "Goals of version 1: rooms",
                [*room_goals(ours, confusion), words.goal(confusion), agreement.goal()],
            ),
        )
        tables.append(semantic_table("Labels in rendered rooms", confusion, 2 * len(pairs)))
        tables.append(class_table("IoU per class", confusion))
        tables.append(words.table(confusion))
        tables.append(agreement.table())
    return _report("lsm eval rooms", backend, tables, measured, ours, opts, confusion)


def study_nyu(backend: Backend, shared: Path, options: StudyOptions | None = None) -> EvalReport:
    """Measure labels on a few NYUv2 photographs, each given as both views of a pair.

    Raises:
        FileFormatError: the folder is absent or damaged.
        UnsupportedError: the backend has no language features.
    """
    opts = options or StudyOptions()
    views = evenly_spaced(load_nyu(shared), opts.limit)
    confusion, mapping = Confusion(NYU_NAMES), text_to_name()
    words = WordStudy(NYU_TEXTS, NYU_NAMES, mapping)
    for done, view in enumerate(views):
        prediction = backend.predict([view.image, view.image])
        assert view.labels is not None
        predicted = mapping[label_grid(backend, prediction, 0, NYU_TEXTS)]
        true = sample_on_grid(prediction, 0, torch.from_numpy(view.labels)).numpy().astype(np.int64) - 1
        confusion.add(true, predicted)
        words.add(backend, prediction, 0, true)
        opts.progress(done + 1, len(views))
    tables = [
        bars_table("Goals of version 1: labels on photographs", [*label_goals(confusion), words.goal(confusion)]),
        semantic_table("Labels on NYUv2 photographs", confusion, len(views)),
        class_table("IoU per class, NYUv2 photographs", confusion),
        words.table(confusion),
    ]
    figures = {"pixel_accuracy": confusion.accuracy, "mean_iou": confusion.mean_iou}
    return EvalReport("lsm eval semantic", backend.name, tables, figures, provenance(backend.device))


def _measure(
    backend: Backend,
    pairs: Sequence[EvalPair],
    opts: StudyOptions,
    full_resolution: bool,
    visit: Visit | None = None,
) -> _Measured:
    """Run the backend and the baselines over the pairs."""
    drawn = {id(pair) for pair in evenly_spaced(pairs, opts.sheet_rows)} if opts.sheet_rows else set()
    records: list[PairRecord] = []
    constant: list[DepthError | None] = []
    rows: list[list[Panel]] = []
    for pair, prediction, record in run_backend(backend, pairs, opts.known_intrinsics):
        records.append(record)
        constant.append(constant_depth_errors(pair, prediction))
        if visit is not None:
            visit(pair, prediction)
        if id(pair) in drawn:
            rows.append(pair_row(backend, pair, prediction, record, ROOM_TEXTS))
        opts.progress(len(records), len(pairs))
    methods = {backend.name: records}
    if opts.with_baselines:
        names = [pair.name for pair in pairs]
        for baseline in baselines(full_resolution):
            known = list(opts.known_baselines.get(baseline.name, ()))
            same = [record.name for record in known] == names
            methods[baseline.name] = known if same else run_pose_method(baseline.pose, pairs)
    return _Measured(methods, constant, rows)


def _constant_groups(groups: dict[str, list[PairRecord]], measured: _Measured) -> dict[str, list[DepthError]]:
    """Return the constant-depth errors of the same pairs as each group's records."""
    ours = next(iter(measured.methods.values()))
    by_record = {id(r): c for r, c in zip(ours, measured.constant, strict=True)}
    return {name: [c for r in records if (c := by_record[id(r)]) is not None] for name, records in groups.items()}


def _hololens_bars(good: list[PairRecord], ours: list[PairRecord], measured: _Measured) -> Table:
    """Return the bars of version 0 that this recording decides."""
    errors = [r.depth[0] for r in ours if r.depth[0] is not None]
    constant = mean_of([c for c in measured.constant if c is not None], lambda e: e.absrel)
    seconds = float(np.median([r.seconds for r in ours])) if ours else math.nan
    absrel = mean_of(errors, lambda e: e.absrel)
    return bars_table(
        "Bars of version 0: real images",
        [
            Bar("rotation median °, overlap > 0.4", rotation_median(good), 4.0, at_least=False),
            Bar("share of rotations below 10°, overlap > 0.4", rotation_good_share(good), 0.8, at_least=True),
            Bar("depth absrel below constant depth's", absrel, constant, at_least=False, strict=True),
            Bar("seconds per pair", seconds, 0.5, at_least=False),
        ],
    )


def _hololens_goals(ours: list[PairRecord], measured: _Measured, agreement: MaskAgreement) -> Table:
    """Return the goals of version 1 that this recording decides."""
    constant = {id(r): c for r, c in zip(ours, measured.constant, strict=True) if c is not None}
    bars = pose_goals(ours, measured.methods) + depth_goals(ours, constant)
    bars += [agreement.goal()] if agreement.pairs else []
    return bars_table("Goals of version 1: real images", bars)


def _report(
    command: str,
    backend: Backend,
    tables: list[Table],
    measured: _Measured,
    main: list[PairRecord],
    opts: StudyOptions,
    confusion: Confusion | None = None,
) -> EvalReport:
    """Collect the main figures and draw the sheet."""
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
    if confusion is not None:
        figures |= {"pixel_accuracy": confusion.accuracy, "mean_iou": confusion.mean_iou}
        figures["mean_iou_frequent"] = mean_iou_of_frequent(confusion)
    where = provenance(backend.device)
    sheet = pair_sheet(command, f"{backend.name}; {where.line()}", measured.rows) if measured.rows else None
    return EvalReport(command, backend.name, tables, figures, where, measured.methods, sheet)
