"""Views between two real images: Gaussians drawn there against the picture that was taken, beside a plain warp.

Of each HoloLens pair that overlaps well, the frame halfway between is drawn from the Gaussians of the two and
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
from lsm_core.evaluation.goals import GOOD_OVERLAP
from lsm_core.evaluation.grid import sample_on_grid
from lsm_core.evaluation.hololens import HoloLensRecording, PairChoice, choose_pairs, load_pairs, read_recording
from lsm_core.evaluation.pairs import EvalPair, evenly_spaced
from lsm_core.evaluation.provenance import provenance
from lsm_core.evaluation.report import EvalReport
from lsm_core.evaluation.studies import StudyOptions
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.geometry import project, transform_points
from lsm_core.geometry.se3 import relative
from lsm_core.render import render
from lsm_core.types import Camera, Gaussians, Prediction

COVERED = 0.5  # of alpha: where less is drawn, nothing is claimed
GOAL_DB = 19.0
Rgb = NDArray[np.float64]
Align = Callable[[Gaussians, Camera, Tensor], Camera]


@dataclass(frozen=True)
class Between:
    """A pair, the image taken between its views, and where that camera stood."""

    pair: EvalPair
    image: NDArray[np.uint8]  # [H, W, 3]
    K: Tensor  # [3, 3] px of it
    T_cam0_between: Tensor  # [4, 4] float64 metres


def views_between(recording: HoloLensRecording, limit: int | None) -> list[Between]:
    """Return the pairs with an overlap above 0.4 that have a frame between, evenly spread."""
    good = [c for c in choose_pairs(recording) if c.overlap > GOOD_OVERLAP and abs(c.i - c.j) >= 2]
    chosen = evenly_spaced(good, limit)
    middles = [(c.i + c.j) // 2 for c in chosen]
    loaded = load_pairs(recording, [*chosen, *(PairChoice(m, m, 1.0) for m in middles)])
    poses = recording.T_world_cam
    return [
        Between(pair, middle.views[0].image, recording.K, relative(poses[choice.i], poses[m]))
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


def psnr(drawn: Rgb, true: Rgb, where: NDArray[np.bool_]) -> float:
    """Return the peak signal-to-noise ratio in dB over some pixels of images in 0 to 1."""
    return float(-10 * np.log10(max(float(((drawn - true)[where] ** 2).mean()), 1e-10)))


def study_hololens_views(
    backend: Backend, shared: Path, options: StudyOptions | None = None, align: Align | None = None
) -> EvalReport:
    """Measure views drawn between the images of the HoloLens recording.

    Args:
        backend: with Gaussians.
        shared: folder with the data.
        options: how many pairs.
        align: moves each true camera to where the Gaussians show its image best before views are compared.

    Raises:
        FileFormatError: the recording is absent or damaged.
    """
    opts = options or StudyOptions()
    recording = read_recording(shared)
    all_between = views_between(recording, opts.limit)
    rows: list[tuple[float, float, float]] = []
    for done, between in enumerate(all_between):
        found = _measure(backend, between, opts.known_intrinsics, align)
        if found is not None:
            rows.append(found)
        opts.progress(done + 1, len(all_between))
    table, ours = _table(rows, len(all_between), "at its true pose" if align is None else "its pose aligned")
    goal = Bar("PSNR dB, median", ours, GOAL_DB, at_least=True)
    tables = [bars_table("Goals of version 1: views between real images", [goal]), table]
    figures = {"psnr": ours, "pairs": float(len(all_between)), "drawn": float(len(rows))}
    return EvalReport("lsm eval hololens-views", backend.name, tables, figures, provenance(backend.device))


def _measure(
    backend: Backend, between: Between, known_intrinsics: bool, align: Align | None = None
) -> tuple[float, float, float] | None:
    """Return (PSNR drawn, PSNR warped, share of pixels compared); None where nothing can be drawn."""
    images = [view.image for view in between.pair.views]
    known = [view.K for view in between.pair.views] if known_intrinsics else None
    prediction = backend.predict(images, known)
    if prediction.gaussians is None or not all(prediction.pose_valid):
        return None
    height, width = prediction.pointmaps[0].shape[:2]
    camera = camera_between(prediction, between, (int(height), int(width)))
    if camera is None:
        return None
    small = cv2.resize(between.image, (camera.width, camera.height), interpolation=cv2.INTER_AREA)
    true = np.asarray(small, np.float64) / 255.0
    if align is not None:
        camera = align(prediction.gaussians, camera, torch.from_numpy(true).float())
    drawn = render(replace(prediction.gaussians, features=None), camera)
    moved, hit = warped(prediction, camera)
    where = hit & (drawn.alpha.detach().cpu().numpy() >= COVERED)
    if not where.any():
        return None
    rgb = drawn.rgb.detach().cpu().double().numpy()
    return psnr(rgb, true, where), psnr(moved, true, where), float(where.mean())


def _table(rows: Sequence[tuple[float, float, float]], pairs: int, place: str) -> tuple[Table, float]:
    """Return the table and the median PSNR of the Gaussians."""
    columns = [Column("method"), Column("views", "d"), Column("PSNR dB", ".2f"), Column("compared", ".1%")]
    figures = np.median(np.array(rows), axis=0) if rows else np.full(3, np.nan)
    gaussians, warp, share = (float(v) for v in figures)
    cells: list[list[Cell]] = [
        ["drawn from Gaussians", len(rows), gaussians, share],
        ["points moved by predicted depth", len(rows), warp, share],
    ]
    note = (
        f"Medians over {len(rows)} of {pairs} pairs with an overlap above {GOOD_OVERLAP:g}; the others got no "
        f"pose. The frame halfway between the views, {place}, on the model's output grid; compared: pixels "
        f"where alpha is at least {COVERED:g} and a point lands. The unit comes from the first view's true depth."
    )
    return Table("Views between real images (HoloLens kitchen)", columns, cells, note), gaussians
