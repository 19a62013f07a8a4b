"""A recording with colour, depth and poses: relative poses, depth, masks, clouds, the path, views between."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lsm_core.backends.base import Backend
from lsm_core.evaluation.bars import Bar, bars_table
from lsm_core.evaluation.cloud_tables import CloudTally
from lsm_core.evaluation.geometry_tables import (
    above,
    depth_table,
    mean_of,
    overlap_table,
    pose_table,
    rotation_good_share,
    rotation_median,
    validity_table,
)
from lsm_core.evaluation.goals import GOOD_OVERLAP, depth_goals, pose_goals
from lsm_core.evaluation.hololens import read_recording
from lsm_core.evaluation.mask_agreement import MaskAgreement
from lsm_core.evaluation.measuring import (
    Measured,
    StudyOptions,
    Visit,
    constant_groups,
    measure_methods,
    pair_report,
)
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.path_study import path_table
from lsm_core.evaluation.protocols.rgbd_sequence import NAME, SWITCHES
from lsm_core.evaluation.records import PairRecord
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.rooms import ROOM_TEXTS
from lsm_core.evaluation.sequences import (
    OVERLAP_BINS,
    PairChoice,
    RgbdSequence,
    choose_pairs,
    depth_seen_from,
    frames_apart,
    load_pairs,
)
from lsm_core.evaluation.switch_table import switch_table
from lsm_core.evaluation.switches import Switches
from lsm_core.evaluation.tables import Table
from lsm_core.types import Prediction

APART_M, APART_DEG = 0.05, 5.0  # motion between frames that pairs are made of


def study_sequence(
    backend: Backend,
    sequence: RgbdSequence,
    switches: Switches | None = None,
    options: StudyOptions | None = None,
    command: str = f"lsm eval {NAME}",
) -> EvalReport:
    """Measure everything that a recording with depth and poses decides, beside baselines on the same pairs.

    Args:
        backend: any; views between are drawn where it has Gaussians.
        sequence: the recording, metres.
        switches: alignment of depth and of target cameras, intrinsics, alignment of the path.
        options: how much is run; its intrinsics and depth alignment give way to the switches.
        command: that the report is of.

    Raises:
        FileFormatError: a frame cannot be read.
    """
    choices = switches or SWITCHES
    known = choices.intrinsics == "given"
    opts = replace(options or StudyOptions(), known_intrinsics=known, depth_alignment=choices.depth_alignment)
    clouds = CloudTally()
    chosen = choose_pairs(sequence, frames_apart(sequence, APART_M, APART_DEG), test_occlusion=True)
    measured, tables, _ = _pair_tables(backend, sequence, chosen, opts, clouds.add)
    ours = measured.methods[backend.name]
    tables.append(clouds.table(f"Clouds against depth ({sequence.title})"))
    path, figures = path_table(backend, sequence, choices, opts)
    tables.append(path)
    views, more = _views(backend, sequence, chosen, choices, opts)
    tables += views
    tables.append(switch_table(choices))
    main = above(ours, GOOD_OVERLAP)
    return pair_report(command, backend, tables, measured, main, opts, figures | more | clouds.figures())


def study_hololens(backend: Backend, shared: Path, options: StudyOptions | None = None) -> EvalReport:
    """Measure poses, depth and masks on the HoloLens recording, against the bars and goals set for lsm-tiny.

    Raises:
        FileFormatError: the recording is absent or damaged.
    """
    opts = options or StudyOptions()
    recording = read_recording(shared)
    measured, tables, agreement = _pair_tables(backend, recording, choose_pairs(recording), opts)
    ours = measured.methods[backend.name]
    good = above(ours, GOOD_OVERLAP)
    tables = [_hololens_bars(good, ours, measured), _hololens_goals(ours, measured, agreement), *tables]
    return pair_report("lsm eval hololens", backend, tables, measured, good, opts)


def _pair_tables(
    backend: Backend,
    sequence: RgbdSequence,
    choices: Sequence[PairChoice],
    opts: StudyOptions,
    visit: Visit | None = None,
) -> tuple[Measured, list[Table], MaskAgreement]:
    """Measure the pairs of a recording; return what was found, its tables, and how far masks agree."""
    chosen = evenly_spaced(choices, opts.limit)
    pairs = load_pairs(sequence, chosen)
    second = {id(pair): choice.j for pair, choice in zip(pairs, chosen, strict=True)}
    agreement = MaskAgreement(ROOM_TEXTS)

    def look(pair: EvalPair, prediction: Prediction) -> None:
        depth = depth_seen_from(sequence, second[id(pair)]) if backend.has_language else None
        if depth is not None:
            agreement.add(backend, pair, prediction, depth)
        if visit is not None:
            visit(pair, prediction)

    measured = measure_methods(backend, pairs, opts, full_resolution=True, visit=look)
    ours = measured.methods[backend.name]
    good = {name: above(records, GOOD_OVERLAP) for name, records in measured.methods.items()}
    groups = {"all": ours, f"overlap > {GOOD_OVERLAP}": good[backend.name]}
    constant = constant_groups(groups, measured)
    return (
        measured,
        [
            pose_table(f"Relative pose on real images, pairs with overlap > {GOOD_OVERLAP}", good),
            overlap_table("The same by overlap, all pairs", measured.methods, OVERLAP_BINS),
            depth_table(f"Depth on real images ({sequence.title})", groups, constant, opts.depth_alignment),
            validity_table("The backend's own validity against its errors", ours),
            *([agreement.table()] if agreement.pairs else []),
        ],
        agreement,
    )


def _views(
    backend: Backend,
    sequence: RgbdSequence,
    chosen: Sequence[PairChoice],
    switches: Switches,
    opts: StudyOptions,
) -> tuple[list[Table], dict[str, float]]:
    """Return the table and figures of views between; nothing for a recording without frames between pairs."""
    from lsm_core.evaluation.target_alignment import released_alignment  # numba is imported by what draws
    from lsm_core.evaluation.view_synthesis import between_figures, between_scores, between_table
    from lsm_core.geometry.pose_refinement import ALIGN

    steps = switches.pose_align_steps
    align = released_alignment(backend.device, replace(ALIGN, steps=steps)) if steps else None
    scores, pairs = between_scores(backend, sequence, chosen, opts, align)
    if not pairs:
        return [], {}
    table = between_table(f"Views between real images ({sequence.title})", scores, pairs, align is not None)
    return [table], {f"views_{name}": value for name, value in between_figures(scores, pairs).items()}


def _hololens_bars(good: list[PairRecord], ours: list[PairRecord], measured: Measured) -> Table:
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


def _hololens_goals(ours: list[PairRecord], measured: Measured, agreement: MaskAgreement) -> Table:
    """Return the goals of version 1 that this recording decides."""
    constant = {id(r): c for r, c in zip(ours, measured.constant, strict=True) if c is not None}
    bars = pose_goals(ours, measured.methods) + depth_goals(ours, constant)
    bars += [agreement.goal()] if agreement.pairs else []
    return bars_table("Goals of version 1: real images", bars)
