"""Views between two real images: Gaussians drawn there against the picture that was taken, beside a plain warp.

Of each pair of a recording that overlaps well, the frame halfway between is drawn from the Gaussians of the two and
compared with the recording. The baseline moves every coloured point of both views, by the depth and pose of the
same prediction, to its nearest pixel. Both are compared where both reach, at the size of the model's output grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lsm_core.backends.base import Backend
from lsm_core.evaluation.bars import Bar, bars_table
from lsm_core.evaluation.geometry_tables import median_of
from lsm_core.evaluation.goals import GOOD_OVERLAP
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.evaluation.hololens import read_recording
from lsm_core.evaluation.image_metrics import ImageError, image_error
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.sequences import PairChoice, RgbdSequence, choose_pairs, load_pairs
from lsm_core.evaluation.switches import Switches
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.geometry import project, transform_points
from lsm_core.geometry.se3 import relative
from lsm_core.nn.lpips import Lpips
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians, Prediction
from lsm_core.weights.lpips_package import available_lpips

COVERED = 0.5  # of alpha: where less is drawn, nothing is claimed
GOAL_DB = 19.0
ON_COVERED = Switches(image_mask="covered", mask_averages=True)
Rgb = NDArray[np.float64]
Align = Callable[[Gaussians, Camera, Tensor], Camera]


@dataclass(frozen=True)
class Between:
    """A pair, the image taken between its views, and where that camera stood."""

    pair: EvalPair
    image: NDArray[np.uint8]  # [H, W, 3]
    K: Tensor  # [3, 3] px of it
    T_cam0_between: Tensor  # [4, 4] float64 metres


@dataclass(frozen=True)
class BetweenScore:
    """How well a view between was drawn from Gaussians, and by moving points; over the same pixels."""

    drawn: ImageError
    moved: ImageError
    given: tuple[ImageError, ...]  # the views that were given, drawn from the Gaussians


def views_between(sequence: RgbdSequence, choices: Sequence[PairChoice], limit: int | None) -> list[Between]:
    """Return those of the pairs with an overlap above 0.4 that have a frame between, evenly spread."""
    good = [c for c in choices if c.overlap > GOOD_OVERLAP and abs(c.i - c.j) >= 2]
    chosen = evenly_spaced(good, limit)
    middles = [(c.i + c.j) // 2 for c in chosen]
    loaded = load_pairs(sequence, [*chosen, *(PairChoice(m, m, 1.0) for m in middles)])
    return [
        Between(
            pair,
            middle.views[0].image,
            sequence.intrinsics(m),
            relative(sequence.pose(choice.i), sequence.pose(m)),
        )
        for choice, m, pair, middle in zip(chosen, middles, loaded, loaded[len(chosen) :], strict=False)
    ]


def camera_between(prediction: Prediction, between: Between, size: tuple[int, int]) -> Camera | None:
    """Return the true camera in the prediction's unit at (height, width), None where the unit cannot be known.

    The unit is the median ratio of true to predicted depth of the first view.
    """
    depth = prediction.depth(0).detach().cpu()
    true = between.pair.views[0].depth
    if true is None:
        return None
    measured = sample_on_grid(prediction, 0, true)
    known = (measured > 0) & (depth > 0)
    if not bool(known.any()):
        return None
    T = between.T_cam0_between.clone()
    T[:3, 3] /= float((measured[known] / depth[known]).median())
    height, width = between.image.shape[:2]
    sx, sy = size[1] / width, size[0] / height
    scale = torch.tensor([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1.0]])
    return Camera(scale @ between.K.float(), size[1], size[0], T.float())


def warped(prediction: Prediction, camera: Camera) -> tuple[Rgb, NDArray[np.bool_]]:
    """Move the coloured points of both views to their nearest pixels; the nearest point wins.

    Returns:
        rgb [H, W, 3] in 0 to 1 and hit [H, W].
    """
    T_cam_scene = torch.linalg.inv(camera.T_scene_cam.double()).float()
    points = torch.cat([p.detach().cpu().float().reshape(-1, 3) for p in prediction.pointmaps])
    colours = np.concatenate([c.reshape(-1, 3) for c in prediction.colors]) / 255.0
    moved = transform_points(T_cam_scene, points)
    pixels = project(moved, camera.K)[0].nan_to_num(-9.0).round().long()
    inside = (moved[:, 2] > 1e-3) & (pixels >= 0).all(1)
    inside &= (pixels[:, 0] < camera.width) & (pixels[:, 1] < camera.height)
    order = torch.argsort(moved[inside, 2], descending=True)  # later writes are nearer
    column, row = (pixels[inside][order][:, k].numpy() for k in (0, 1))
    rgb, hit = np.zeros((camera.height, camera.width, 3)), np.zeros((camera.height, camera.width), bool)
    rgb[row, column], hit[row, column] = colours[inside.numpy()][order.numpy()], True
    return rgb, hit


def study_hololens_views(
    backend: Backend, shared: Path, options: StudyOptions | None = None, align: Align | None = None
) -> EvalReport:
    """Measure views drawn between the images of the HoloLens recording; see `between_scores`.

    Raises:
        FileFormatError: the recording is absent or damaged.
    """
    opts = options or StudyOptions()
    recording = read_recording(shared)
    scores, pairs = between_scores(backend, recording, choose_pairs(recording), opts, align)
    ours = median_of([s.drawn.psnr for s in scores])
    goal = Bar("PSNR dB, median", ours, GOAL_DB, at_least=True)
    tables = [
        bars_table("Goals of version 1: views between real images", [goal]),
        between_table("Views between real images (HoloLens kitchen)", scores, pairs, align is not None),
    ]
    figures = between_figures(scores, pairs)
    return EvalReport("lsm eval hololens-views", backend.name, tables, figures, provenance(backend.device))


def between_scores(
    backend: Backend,
    sequence: RgbdSequence,
    choices: Sequence[PairChoice],
    opts: StudyOptions,
    align: Align | None = None,
) -> tuple[list[BetweenScore], int]:
    """Draw the views between the images of a recording and compare them.

    Args:
        backend: with Gaussians.
        sequence: the recording.
        choices: pairs of its frames.
        opts: how many of them.
        align: moves each true camera to where the Gaussians show its image best before views are compared.

    Returns:
        The scores of the pairs that could be drawn, and the number of all.
    """
    network = available_lpips(backend.device)
    all_between = views_between(sequence, choices, opts.limit)
    scores = []
    for done, between in enumerate(all_between):
        found = measure_between(backend, between, opts.known_intrinsics, align, network)
        if found is not None:
            scores.append(found)
        opts.progress(done + 1, len(all_between))
    return scores, len(all_between)


def measure_between(
    backend: Backend,
    between: Between,
    known_intrinsics: bool,
    align: Align | None = None,
    network: Lpips | None = None,
) -> BetweenScore | None:
    """Return the scores of one view between; None where nothing can be drawn."""
    views = between.pair.views
    known = [view.K for view in views] if known_intrinsics or backend.needs_intrinsics else None
    poses = [torch.eye(4), between.pair.T_cam0_cam1] if backend.needs_poses else None
    prediction = backend.predict([view.image for view in views], known, poses)
    if prediction.gaussians is None or not all(prediction.pose_valid):
        return None
    height, width = prediction.pointmaps[0].shape[:2]
    camera = camera_between(prediction, between, (int(height), int(width)))
    if camera is None:
        return None
    small = cv2.resize(between.image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    true = torch.from_numpy(np.asarray(small, np.float32) / 255.0)
    if align is not None:
        camera = align(prediction.gaussians, camera, true)
    drawn = render(replace(prediction.gaussians, features=None), camera)
    moved, hit = warped(prediction, camera)
    where = torch.from_numpy(hit) & (drawn.alpha.detach().cpu() >= COVERED)
    if not bool(where.any()):
        return None
    pictures = (drawn.rgb.detach().cpu(), torch.from_numpy(moved).float())
    ours, warp = (image_error(true, picture, ON_COVERED, network, where) for picture in pictures)
    return BetweenScore(ours, warp, _given_errors(prediction))


def _given_errors(prediction: Prediction) -> tuple[ImageError, ...]:
    """Compare the views that were given, drawn from the Gaussians at their estimated poses, with their images."""
    assert prediction.gaussians is not None
    errors = []
    for K, T, color in zip(prediction.intrinsics, prediction.poses, prediction.colors, strict=True):
        height, width = color.shape[:2]
        camera = Camera(K.detach().cpu(), width, height, T.detach().cpu())
        drawn = render(replace(prediction.gaussians, features=None), camera)
        true = torch.from_numpy(np.asarray(color, np.float32) / 255.0)
        where = drawn.alpha.detach().cpu() >= COVERED
        errors.append(image_error(true, drawn.rgb.detach().cpu(), ON_COVERED, None, where))
    return tuple(errors)


def between_figures(scores: Sequence[BetweenScore], pairs: int) -> dict[str, float]:
    """Return the main figures."""
    psnr = median_of([s.drawn.psnr for s in scores])
    return {"psnr": psnr, "pairs": float(pairs), "drawn": float(len(scores))}


def between_table(title: str, scores: Sequence[BetweenScore], pairs: int, aligned: bool) -> Table:
    """Return medians over the views that were drawn, for the Gaussians and for the points."""
    columns = [
        Column("method"),
        Column("views", "d"),
        Column("PSNR dB", ".2f"),
        Column("SSIM"),
        Column("LPIPS"),
        Column("compared", ".1%"),
    ]
    rows: list[list[Cell]] = []
    for name, errors in (
        ("drawn from Gaussians", [s.drawn for s in scores]),
        ("points moved by predicted depth", [s.moved for s in scores]),
        ("the images given, drawn from Gaussians", [error for s in scores for error in s.given]),
    ):
        figures = [[getattr(e, what) for e in errors] for what in ("psnr", "ssim", "lpips", "counted")]
        rows.append([name, len(errors), *(median_of(values) for values in figures)])
    place = "its pose aligned" if aligned else "at its true pose"
    note = (
        f"Medians over {len(scores)} of {pairs} pairs with an overlap above {GOOD_OVERLAP:g}; the others got no "
        f"pose. The frame halfway between the views, {place}, on the model's output grid; compared: pixels "
        f"where alpha is at least {COVERED:g} and, except for the images given, a point lands; LPIPS where its "
        "weights are installed. The unit comes from the first view's true depth."
    )
    return Table(title, columns, rows, note)
