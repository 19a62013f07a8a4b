"""The studies of rendered rooms and of photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from lsm_core.backends.base import Backend
from lsm_core.evaluation.bars import Bar, bars_table
from lsm_core.evaluation.geometry_tables import above, depth_table, overlap_table, pose_table, validity_table
from lsm_core.evaluation.goals import GOOD_OVERLAP, label_goals, room_goals
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.evaluation.labelling import label_grid
from lsm_core.evaluation.mask_agreement import MaskAgreement
from lsm_core.evaluation.measuring import StudyOptions, constant_groups, measure_methods, pair_report
from lsm_core.evaluation.nyu import NYU_NAMES, NYU_TEXTS, load_nyu, text_to_name
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.rooms import ROOM_TEXTS, load_room_pairs
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.semantic_tables import FREQUENT_SHARE, class_table, mean_iou_of_frequent, semantic_table
from lsm_core.evaluation.words import WordStudy
from lsm_core.types import Prediction

ROOM_MEAN_IOU = 0.25
ROOM_BINS = ((0.0, 0.3), (0.3, 0.5), (0.5, 0.7), (0.7, 1.0))


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

    measured = measure_methods(backend, pairs, opts, full_resolution=False, visit=count_labels)
    ours = measured.methods[backend.name]
    groups = {"all": ours, f"overlap > {GOOD_OVERLAP}": above(ours, GOOD_OVERLAP)}
    tables = [
        pose_table("Relative pose in rendered rooms, held-out furniture", measured.methods),
        overlap_table("The same by overlap", measured.methods, ROOM_BINS),
        depth_table("Depth in rendered rooms", groups, constant_groups(groups, measured)),
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
    labels = {"pixel_accuracy": confusion.accuracy, "mean_iou": confusion.mean_iou}
    labels["mean_iou_frequent"] = mean_iou_of_frequent(confusion)
    return pair_report("lsm eval rooms", backend, tables, measured, ours, opts, labels)


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
