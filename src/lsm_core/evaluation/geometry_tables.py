"""Pair records summed up: pose by method and overlap, depth, validity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from lsm_core.evaluation.depth_metrics import DepthError
from lsm_core.evaluation.pose_metrics import AUC_THRESHOLDS_DEG, FAILED_DEG, pose_auc
from lsm_core.evaluation.records import MIN_DIRECTION_BASELINE_M, PairRecord
from lsm_core.evaluation.switches import DepthAlignment
from lsm_core.evaluation.tables import Cell, Column, Table

GOOD_ROTATION_DEG = 10.0
VALIDITY_EDGES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
Bins = Sequence[tuple[float, float]]


def rotation_median(records: Sequence[PairRecord]) -> float:
    """Return the median rotation error in degrees; a missing pose counts as 180."""
    return median_of([r.pose.rotation_deg for r in records])


def rotation_good_share(records: Sequence[PairRecord]) -> float:
    """Return the share of pairs with a rotation error below 10 degrees."""
    return float(np.mean([r.pose.rotation_deg < GOOD_ROTATION_DEG for r in records])) if records else math.nan


def direction_median(records: Sequence[PairRecord]) -> float:
    """Return the median angle of the translation's direction; NaN where a method never gives a translation."""
    errors = [r.pose.direction_deg for r in records if r.direction_counts]
    if all(map(math.isnan, errors)):
        return math.nan
    return median_of([FAILED_DEG if math.isnan(e) else e for e in errors])


def above(records: Sequence[PairRecord], overlap: float) -> list[PairRecord]:
    """Return the records with more overlap than a value."""
    return [r for r in records if r.overlap > overlap]


def pose_table(title: str, methods: Mapping[str, Sequence[PairRecord]]) -> Table:
    """Return one row per method over all records given."""
    columns = [
        Column("method"),
        Column("pairs", "d"),
        Column("rot °", ".2f"),
        Column("<10°", ".2f"),
        Column("dir °", ".1f"),
        *[Column(f"AUC@{t:g}", ".2f") for t in AUC_THRESHOLDS_DEG],
        Column("no pose", "d"),
        Column("s", ".2f"),
        Column("CPU s", ".2f"),
    ]
    rows: list[list[Cell]] = []
    for name, records in methods.items():
        if not records:
            rows.append([name, 0, *[None] * (len(columns) - 2)])
        else:
            auc = pose_auc([r.pose.worst_deg for r in records])
            has_direction = not math.isnan(direction_median(records))
            rows.append(
                [
                    name,
                    len(records),
                    rotation_median(records),
                    rotation_good_share(records),
                    direction_median(records),
                    *(auc if has_direction else [math.nan] * len(auc)),
                    sum(not r.pose_found for r in records),
                    median_of([r.seconds for r in records]),
                    median_of([r.cpu_seconds for r in records]),
                ]
            )
    note = (
        "rot: median rotation error, <10°: share of pairs below 10°, dir: median angle between the translations "
        f"(signed, baselines of at least {100 * MIN_DIRECTION_BASELINE_M:.0f} cm), AUC: of the larger of rotation "
        "and folded direction error, s: median seconds per pair, CPU s: processor time of all threads. A missing "
        "pose counts as 180°."
    )
    return Table(title, columns, rows, note)


def overlap_table(title: str, methods: Mapping[str, Sequence[PairRecord]], bins: Bins) -> Table:
    """Return rotation median / share below 10 degrees of each method in each overlap bin."""
    reference = next(iter(methods.values()))
    counts = [len(_in_bin(reference, b)) for b in bins]
    columns = [Column("method"), *[Column(_bin_name(b, n)) for b, n in zip(bins, counts, strict=True)]]
    rows: list[list[Cell]] = []
    for name, records in methods.items():
        cells: list[Cell] = [name]
        for b in bins:
            inside = _in_bin(records, b)
            text = f"{rotation_median(inside):.1f}° / {rotation_good_share(inside):.2f}"
            cells.append(text if inside else None)
        rows.append(cells)
    return Table(title, columns, rows, "Columns: overlap. Cells: median rotation error / share below 10°.")


def depth_table(
    title: str,
    groups: Mapping[str, Sequence[PairRecord]],
    constant: Mapping[str, Sequence[DepthError]],
    alignment: DepthAlignment = "median",
) -> Table:
    """Return depth errors of view 0 and of view 1's pointmap, beside a constant depth.

    Args:
        title: of the table.
        groups: name of a group of pairs -> its records.
        constant: the same group -> errors of a constant depth on the same pixels.
        alignment: how depths were aligned, for the note.
    """
    columns = [
        Column("pairs"),
        Column("n", "d"),
        Column("absrel"),
        Column("δ<1.25"),
        Column("τ<1.03"),
        Column("absrel sure half"),
        Column("absrel const."),
        Column("δ const."),
        Column("view-1 points"),
        Column("scale", ".2f"),
    ]
    rows: list[list[Cell]] = []
    for name, records in groups.items():
        errors = [r.depth[0] for r in records if r.depth[0] is not None and r.depth[0].pixels]
        if errors:
            rows.append(
                [
                    name,
                    len(errors),
                    mean_of(errors, lambda e: e.absrel),
                    mean_of(errors, lambda e: e.delta),
                    mean_of(errors, lambda e: e.tau),
                    mean_of([r.sure_depth for r in records if r.sure_depth is not None], lambda e: e.absrel),
                    mean_of(constant[name], lambda e: e.absrel),
                    mean_of(constant[name], lambda e: e.delta),
                    median_of([r.pointmap1 for r in records]),
                    median_of([e.scale for e in errors]),
                ]
            )
    note = (
        f"Depth of view 0 after alignment per image ({alignment}), mean over images; sure half: only the "
        "half of the pixels with the highest confidence, const.: one constant depth instead. "
        "View-1 points: median relative error of view 1's points in camera 0 after one scale per pair, median over "
        "pairs where both depths are known. Scale: median of predicted over true depth before alignment."
    )
    return Table(title, columns, rows, note)


def validity_table(title: str, records: Sequence[PairRecord]) -> Table:
    """Return how the backend's own validity relates to its errors."""
    columns = [
        Column("validity"),
        Column("pairs", "d"),
        Column("overlap", ".2f"),
        Column("rot °", ".2f"),
        Column("<10°", ".2f"),
        Column("dir °", ".1f"),
    ]
    rows: list[list[Cell]] = []
    for low, high in pairwise(VALIDITY_EDGES):
        inside = [r for r in records if low <= r.validity < high or (high == 1.0 and r.validity == 1.0)]
        if inside:
            overlap = median_of([r.overlap for r in inside])
            row: list[Cell] = [f"{low:.1f} to {high:.1f}", len(inside), overlap, rotation_median(inside)]
            rows.append([*row, rotation_good_share(inside), direction_median(inside)])
    return Table(title, columns, rows, "Medians; pairs of all overlaps, those without any included.")


def mean_of(errors: Sequence[DepthError], value: Callable[[DepthError], float]) -> float:
    """Return the mean of a figure over errors, NaN without any."""
    values = [value(e) for e in errors if not math.isnan(value(e))]
    return float(np.mean(values)) if values else math.nan


def median_of(values: Sequence[float]) -> float:
    """Return the median of the values that are not NaN, NaN without any."""
    known = [v for v in values if not math.isnan(v)]
    return float(np.median(known)) if known else math.nan


def _in_bin(records: Sequence[PairRecord], b: tuple[float, float]) -> list[PairRecord]:
    """Return the records with overlap in [low, high), the upper end included for 1."""
    low, high = b
    return [r for r in records if low <= r.overlap < high or (high == 1.0 and r.overlap == 1.0)]


def _bin_name(b: tuple[float, float], count: int) -> str:
    """Return the heading of an overlap bin."""
    return f"{b[0]:g}–{b[1]:g} (n={count})"
