"""Views that no image was taken from: how well colours and words drawn there agree with the truth.

A walk of the rendered rooms gives three frames: the first and the last go to the backend, the one between is drawn
from their Gaussians and compared with what the room really looks like and is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.data.shards import FrameShard, list_shards, load_shard
from lsm_core.errors import FileFormatError
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.pairs import evenly_spaced
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.rooms import ROOM_TEXTS
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.semantic_tables import FREQUENT_SHARE, mean_iou_of_frequent
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.geometry.se3 import relative
from lsm_core.query import query_gaussians, query_prediction
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians, Prediction

COVERED = 0.5  # of alpha: where less is drawn, nothing is claimed
MASK_NAMES = ("floor", "wall", "bed", "sofa", "table", "chair")


@dataclass(frozen=True)
class Triple:
    """Frames of one walk: two that are given and one between that is not.

    Attributes:
        images, K, T_world_cam: of the first, the last and the middle frame.
        depth: [H, W] float32 metres of the first, 0 = none.
        labels: [H, W] uint8 class ids of the first, the last and the middle frame, 0 = unlabelled.
    """

    images: tuple[NDArray[np.uint8], ...]
    K: tuple[Tensor, ...]
    T_world_cam: tuple[Tensor, ...]
    depth: Tensor
    labels: tuple[NDArray[np.uint8], ...]


@dataclass
class _Tally:
    """What is counted over all triples."""

    given: Confusion
    novel: Confusion
    psnr: list[float]
    covered: list[float]
    no_pose: int = 0


def load_triples(folder: Path, limit: int | None = None) -> list[Triple]:
    """Return triples of the shards of a folder, evenly spread.

    Raises:
        FileFormatError: there is no shard, or one is damaged.
    """
    paths = list_shards(folder)
    if not paths:
        raise FileFormatError(
            f"There is no shard in {folder}.", "Generate rooms first (docs/training_data.md) and pass --data DIR."
        )
    triples = []
    for number, path in enumerate(paths):
        share = None if limit is None else limit // len(paths) + (number < limit % len(paths))
        if share != 0:
            shard = load_shard(path)
            triples += [_triple(shard, frames) for frames in evenly_spaced(list(_frames(shard)), share)]
    return triples


def study_views(backend: Backend, data: Path, options: StudyOptions | None = None) -> EvalReport:
    """Measure colours and words on views between the given ones, in rooms with held-out furniture.

    Raises:
        FileFormatError: the folder holds no shard.
        UnsupportedError: the backend has no language features on its Gaussians.
    """
    opts = options or StudyOptions()
    triples = load_triples(data, opts.limit)
    tally = _Tally(Confusion(ROOM_TEXTS), Confusion(ROOM_TEXTS), [], [])
    for done, triple in enumerate(triples):
        _measure(backend, triple, tally, opts.known_intrinsics)
        opts.progress(done + 1, len(triples))
    tables = [_table(tally), _names_table(tally)]
    figures = {
        "psnr": _median(tally.psnr),
        "covered": _median(tally.covered),
        "novel_pixel_accuracy": tally.novel.accuracy,
        "given_pixel_accuracy": tally.given.accuracy,
        "novel_mean_iou_frequent": mean_iou_of_frequent(tally.novel),
        "given_mean_iou_frequent": mean_iou_of_frequent(tally.given),
    }
    return EvalReport("lsm eval views", backend.name, tables, figures, provenance(backend.device))


def camera_of_middle(prediction: Prediction, triple: Triple) -> Camera:
    """Return the middle frame's camera in the prediction's frame and unit.

    The unit comes from the first view: the median ratio of true to predicted depth.
    """
    depth = prediction.depth(0).detach().cpu()
    true = sample_on_grid(prediction, 0, triple.depth)
    known = (true > 0) & (depth > 0)
    metres_per_unit = float((true[known] / depth[known]).median()) if bool(known.any()) else 1.0
    T_first_middle = relative(triple.T_world_cam[0].double(), triple.T_world_cam[2].double())
    T_first_middle[:3, 3] /= metres_per_unit
    height, width = triple.images[2].shape[:2]
    return Camera(triple.K[2], width, height, T_first_middle.float())


def labels_from(backend: Backend, gaussians: Gaussians, camera: Camera) -> NDArray[np.int64]:
    """Return [H, W] the best of all names at each pixel of a camera's view, drawn from Gaussians."""
    found = query_gaussians(backend, gaussians, [camera], ROOM_TEXTS)
    return np.stack(found.scores[0]).argmax(0).astype(np.int64)


def _measure(backend: Backend, triple: Triple, tally: _Tally, known_intrinsics: bool) -> None:
    prediction = backend.predict(list(triple.images[:2]), list(triple.K[:2]) if known_intrinsics else None)
    given = query_prediction(backend, prediction, ROOM_TEXTS)
    for view in range(2):
        best = np.stack(given.scores[view]).argmax(0).astype(np.int64)
        tally.given.add(triple.labels[view].astype(np.int64) - 1, best)
    if prediction.gaussians is None or not all(prediction.pose_valid):
        tally.no_pose += 1
        return
    camera = camera_of_middle(prediction, triple)
    seen = render(replace(prediction.gaussians, features=None), camera)
    covered = seen.alpha.detach().cpu().numpy() >= COVERED
    tally.covered.append(float(covered.mean()))
    if covered.any():
        difference = seen.rgb.detach().cpu().numpy()[covered] - triple.images[2][covered] / 255.0
        tally.psnr.append(float(-10 * np.log10(max(float((difference**2).mean()), 1e-10))))
    true = np.where(covered, triple.labels[2].astype(np.int64) - 1, -1)
    tally.novel.add(true, labels_from(backend, prediction.gaussians, camera))


def _frames(shard: FrameShard) -> Iterator[tuple[int, int, int]]:
    """Yield (first, last, middle) of the pairs that have a frame between; a walk's frames lie side by side."""
    for i, j in shard.pairs.tolist():
        if j - i >= 2 and shard.room[i] == shard.room[j]:
            yield i, j, (i + j) // 2


def _triple(shard: FrameShard, frames: tuple[int, int, int]) -> Triple:
    return Triple(
        tuple(np.ascontiguousarray(shard.rgb[f]) for f in frames),
        tuple(torch.from_numpy(shard.K[f].copy()) for f in frames),
        tuple(torch.from_numpy(shard.T_world_cam[f].copy()) for f in frames),
        torch.from_numpy(shard.depth[frames[0]].astype(np.float32)),
        tuple(np.ascontiguousarray(shard.label[f]) for f in frames),
    )


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else float("nan")


def _table(tally: _Tally) -> Table:
    columns = [
        Column("views"),
        Column("images", "d"),
        Column("covered", ".1%"),
        Column("PSNR dB", ".1f"),
        Column("pixel accuracy"),
        Column("mIoU"),
        Column("mIoU frequent"),
    ]
    rows: list[list[Cell]] = []
    counts = len(tally.covered)
    nan = float("nan")
    for name, confusion, images, covered, psnr in (
        ("given, from their own features", tally.given, 2 * (counts + tally.no_pose), nan, nan),
        ("between, drawn from Gaussians", tally.novel, counts, _median(tally.covered), _median(tally.psnr)),
    ):
        figures = [confusion.accuracy, confusion.mean_iou, mean_iou_of_frequent(confusion)]
        rows.append([name, images, covered, psnr, *figures])
    note = (
        f"Label = best of {len(ROOM_TEXTS)} names. Covered: median share of pixels with alpha of {COVERED:g} or "
        f"more; the rest counts neither for PSNR (median) nor for labels. Frequent: at least "
        f"{100 * FREQUENT_SHARE:g} % of the pixels. No pose, so no view between: {tally.no_pose} pairs."
    )
    return Table("Words on views that no image was taken from", columns, rows, note)


def _names_table(tally: _Tally) -> Table:
    columns = [Column("name"), Column("share of pixels", ".1%"), Column("IoU given"), Column("IoU between")]
    given, novel, shares = tally.given.iou(), tally.novel.iou(), tally.given.true_shares()
    names = [name for name in MASK_NAMES if name in given and name in novel]
    rows: list[list[Cell]] = [[name, shares[name], given[name], novel[name]] for name in names]
    return Table("Some names", columns, rows, "")
