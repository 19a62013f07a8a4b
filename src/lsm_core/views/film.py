"""Films of a scene: every kind of picture along a path, as mp4, animation or PNG frames, with a contact sheet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lsm_core import __version__
from lsm_core.errors import InputError
from lsm_core.io import Trajectory, write_png, write_tum
from lsm_core.io.sheets import Panel, compose_sheet
from lsm_core.io.video import can_write_video, check_video, write_animation, write_video
from lsm_core.types import Camera
from lsm_core.views.frame_store import FrameStore, film_key
from lsm_core.views.painter import Kind, Painter, Question
from lsm_core.views.scene import Scene

Progress = Callable[[str, int, int], None]
SHEET_COLUMNS = 4
TITLES = {"rgb": "Colour", "features": "Language features", "masks": "What the words name"}


class Form(StrEnum):
    """How a film is written."""

    AUTO = "auto"  # mp4 where this machine can write it, else PNG frames
    MP4 = "mp4"
    WEBP = "webp"
    GIF = "gif"
    PNG = "png"


@dataclass(frozen=True)
class FilmPlan:
    """What to make.

    Attributes:
        kinds: of pictures.
        form: of the files.
        fps: pictures per second.
        path_name: "turntable", "fly", ...; for the sheet and the record.
        sheet: also write a contact sheet.
    """

    kinds: tuple[Kind, ...]
    form: Form = Form.AUTO
    fps: float = 20.0
    path_name: str = ""
    sheet: bool = True


@dataclass(frozen=True)
class Film:
    """What was made: files by picture name (a folder for PNG frames), and how much of the pictures is covered."""

    files: dict[str, Path]
    sheet: Path | None
    path: Path
    frames: int
    resumed: int
    form: Form


def make_film(
    scene: Scene,
    cameras: Sequence[Camera],
    output: Path,
    plan: FilmPlan,
    question: Question | None = None,
    progress: Progress | None = None,
) -> Film:
    """Draw a path into a folder: NAME.mp4 (.webp, .gif, or a folder NAME of frames), path.tum and a sheet.

    Each file appears whole or not at all. An interrupted run leaves its finished frames in a hidden folder, and the
    same call goes on from there.

    Args:
        scene: what is drawn.
        cameras: one per frame.
        output: folder, made where missing.
        plan: what to make.
        question: for masks and relevancy.
        progress: called with a stage ("Drawing", "Writing"), how much of it is done, and how much there is.

    Raises:
        DependencyError: mp4 was asked for and cannot be written here.
        InputError, UnsupportedError: see `Painter`; or the folder cannot be written to.
    """
    form = plan.form if plan.form is not Form.AUTO else Form.MP4 if can_write_video() else Form.PNG
    if form is Form.MP4:
        check_video()
    settings: dict[str, Any] = {
        "version": __version__,
        "kinds": list(plan.kinds),
        "unit": scene.unit,
        "texts": list(question.texts) if question else [],
        "backend": question.backend.name if question else "",
    }
    store = FrameStore(output, film_key(scene.gaussians, list(cameras), settings))
    painter = Painter(scene, plan.kinds, cameras, question)
    names, resumed = _draw(painter, cameras, store, progress)
    sheet = _sheet(scene, store, names, cameras, output, plan) if plan.sheet else None
    files = _write_all(store, names, len(cameras), output, form, plan.fps, progress)
    poses = np.stack([c.T_scene_cam.double().cpu().numpy() for c in cameras])
    stamps = np.round(np.arange(len(cameras)) * 1e9 / plan.fps).astype(np.int64)
    write_tum(output / "path.tum", Trajectory(stamps, poses), "T_scene_cam per frame\ntime tx ty tz qx qy qz qw")
    store.remove()
    return Film(files, sheet, output / "path.tum", len(cameras), resumed, form)


def _draw(
    painter: Painter, cameras: Sequence[Camera], store: FrameStore, progress: Progress | None
) -> tuple[list[str], int]:
    """Draw the frames that are not there yet; returns the pictures' names and how many frames were there."""
    names: list[str] = []
    resumed = 0
    for index, camera in enumerate(cameras):
        found = store.names(index)
        if found is None:
            pictures = painter.paint(camera)
            store.save(index, pictures)
            names = list(pictures)
        else:
            names, resumed = found, resumed + 1
        if progress is not None:
            progress("Drawing", index + 1, len(cameras))
    return names, resumed


def _write_all(
    store: FrameStore, names: list[str], count: int, output: Path, form: Form, fps: float, progress: Progress | None
) -> dict[str, Path]:
    """Turn the frames into files, several pictures at a time: encoders run outside the interpreter lock."""
    files: dict[str, Path] = {}
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for name, file in zip(
            names, pool.map(lambda n: _write(store, n, count, output, form, fps), names), strict=True
        ):
            files[name] = file
            if progress is not None:
                progress("Writing", len(files), len(names))
    return files


def _write(store: FrameStore, name: str, count: int, output: Path, form: Form, fps: float) -> Path:
    """Turn the frames of one picture into its file."""
    target = output / (name if form is Form.PNG else f"{name}.{form}")
    frames = (store.load(name, index) for index in range(count))
    if form is Form.MP4:
        write_video(target, frames, fps)
    elif form in (Form.WEBP, Form.GIF):
        write_animation(target, list(frames), fps)
    else:
        _place_frames(store, name, target)
    return target


def _place_frames(store: FrameStore, name: str, target: Path) -> None:
    """Move frames into their folder in one step, in the place of older ones."""
    if target.exists() and not target.is_dir():
        raise InputError(
            f"'{target}' is a file where a folder of frames must go.", "Move it or use another folder."
        )
    if target.is_dir():
        os.replace(target, store.folder / f"{name}.old")
    os.replace(store.folder / name, target)


def _sheet(
    scene: Scene, store: FrameStore, names: list[str], cameras: Sequence[Camera], output: Path, plan: FilmPlan
) -> Path:
    """Write a contact sheet: the input views, then some frames of every picture."""
    rows = []
    if scene.images:
        rows.append([Panel(image, f"Input view {i}") for i, image in enumerate(scene.images[:SHEET_COLUMNS])])
    shown = different_frames(cameras, SHEET_COLUMNS)
    for name in names:
        title = TITLES.get(name, name.replace("_", ": ", 1).replace("_", " ").capitalize())
        rows.append([Panel(store.load(name, i), f"{title}, frame {i}" if i else title) for i in shown])
    unit = "metres" if scene.unit == "metric" else "no metric unit"
    parts = [plan.path_name, f"{len(cameras)} frames", f"{len(scene.gaussians):,} Gaussians", scene.backend or ""]
    text = " · ".join(p for p in (*parts, unit) if p)
    write_png(output / "sheet.png", compose_sheet(scene.title, text, rows))
    return output / "sheet.png"


def different_frames(cameras: Sequence[Camera], count: int) -> list[int]:
    """Return up to `count` frames, the first among them, whose cameras are as far apart as possible, in order."""
    places = torch.stack([camera.T_scene_cam[:3, 2:].flatten() for camera in cameras]).double()  # axis and centre
    chosen = [0]
    away = (places - places[0]).norm(dim=1)
    while len(chosen) < min(count, len(cameras)):
        chosen.append(int(away.argmax()))
        away = torch.minimum(away, (places - places[chosen[-1]]).norm(dim=1))
    return sorted(set(chosen))
