"""The path of a recording: consecutive pairs chained as the node chains them, against the true poses."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.errors import GeometryError
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.sequences import PairChoice, RgbdSequence, frames_apart, load_pairs
from lsm_core.evaluation.switches import Switches
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.evaluation.trajectory_metrics import AbsoluteError, RelativeError, absolute_error, relative_error
from lsm_core.mapping.chaining import ChainConfig, PairChain, PairGeometry

LEAST_POSES = 3  # of a part of the path that can be aligned
STEP_M, STEP_DEG = 0.25, 15.0  # motion after which the next frame of the path is taken
Part = list[tuple[int, Tensor]]  # frame, T_map_cam


def path_frames(sequence: RgbdSequence, limit: int | None) -> list[int]:
    """Return frames that lie at least 0.25 m or 15 degrees apart; of more than `limit` a run from the start."""
    frames = frames_apart(sequence, STEP_M, STEP_DEG)
    return frames if limit is None else frames[: limit + 1]


def estimate_path(backend: Backend, sequence: RgbdSequence, frames: list[int], opts: StudyOptions) -> list[Part]:
    """Predict each pair of consecutive frames and chain them; a pair without a pose begins a new part."""
    chain = PairChain(ChainConfig(max_spread=math.inf))
    parts: list[Part] = []
    for done, (i, j) in enumerate(pairwise(frames)):
        (pair,) = load_pairs(sequence, [PairChoice(i, j, math.nan)])
        known = [v.K for v in pair.views] if opts.known_intrinsics or backend.needs_intrinsics else None
        poses = [torch.eye(4), pair.T_cam0_cam1] if backend.needs_poses else None
        prediction = backend.predict([v.image for v in pair.views], known, poses)
        opts.progress(done + 1, len(frames) - 1)
        if not all(prediction.pose_valid):
            chain.start_segment()
            continue
        step = chain.add(PairGeometry.from_prediction(prediction, i, j), 1.0 if backend.needs_poses else None)
        if step.new_segment:
            parts.append([(i, torch.from_numpy(step.T_map_older))])
        parts[-1].append((j, torch.from_numpy(step.T_map_newer)))
    return parts


def path_table(
    backend: Backend, sequence: RgbdSequence, switches: Switches, opts: StudyOptions
) -> tuple[Table, dict[str, float]]:
    """Measure the path; each part is aligned on its own.

    Returns:
        The table, one row per part that can be aligned, and the figures of the longest.
    """
    frames = path_frames(sequence, opts.limit)
    measured = []
    for part in estimate_path(backend, sequence, frames, opts):
        found = _errors(part, sequence, switches)
        if found is not None:
            measured.append(found)
    columns = [
        Column("part", "d"),
        Column("frames", "d"),
        Column("length m", ".2f"),
        Column("ATE rmse m"),
        Column("ATE median m"),
        Column("RPE m"),
        Column("RPE °", ".2f"),
        Column("scale", ".2f"),
    ]
    rows: list[list[Cell]] = [
        [k + 1, a.poses, length, a.rmse, a.median, r.translation_rmse, r.rotation_rmse_deg, a.scale]
        for k, (length, a, r) in enumerate(measured)
    ]
    note = (
        f"Of {len(frames)} frames at least {STEP_M:g} m or {STEP_DEG:g}° apart, consecutive pairs, each rescaled "
        "to the one before by the depth of the frame they share; a pair without a pose ends a part. Nothing is "
        f"optimised afterwards. ATE after {switches.trajectory} alignment of each part; RPE: root mean square over "
        "single steps."
    )
    longest = max(measured, key=lambda m: m[0], default=None)
    figures = {} if longest is None else {"ate_rmse_m": longest[1].rmse, "path_m": longest[0]}
    return Table(f"Path ({sequence.title})", columns, rows, note), figures


def _errors(
    part: Part, sequence: RgbdSequence, switches: Switches
) -> tuple[float, AbsoluteError, RelativeError] | None:
    """Return (true length in metres, absolute, relative error) of a part; None where it cannot be aligned."""
    if len(part) < LEAST_POSES:
        return None
    estimated = torch.stack([T for _, T in part])
    true = torch.stack([sequence.pose(k) for k, _ in part])
    try:
        absolute = absolute_error(estimated, true, switches.trajectory)
    except GeometryError:
        return None
    length = float((true[1:, :3, 3] - true[:-1, :3, 3]).norm(dim=1).sum())
    return length, absolute, relative_error(estimated, true, scale=absolute.scale)
