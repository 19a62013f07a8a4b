"""Films in the files that a user names: a folder, or one file; and the turn-table of a reconstruction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.cli.console import progress_bar
from lsm_core.errors import InputError
from lsm_core.types import Prediction

FILMS = {".mp4": "mp4", ".webp": "webp", ".gif": "gif"}
TURN_FRAMES, TURN_WIDTH, TURN_FPS = 24, 480, 12.0


def write_turntable(
    path: Path, prediction: Prediction, images: Sequence[NDArray[np.uint8]], title: str, quiet: bool
) -> None:
    """Draw a turn-table of what a prediction shows.

    Args:
        path: .webp, .gif or .mp4.
        prediction: with Gaussians and poses.
        images: it was made of.
        title: of the scene.
        quiet: without a progress bar.
    """
    from lsm_core.views import Kind, frame_scene, scene_of, turntable

    scene = scene_of(prediction, images, title)
    camera = scene.cameras[0]
    height = 2 * round(TURN_WIDTH * camera.height / camera.width / 2)
    framing = frame_scene(scene, TURN_WIDTH, height)
    cameras = turntable(scene, framing, TURN_FRAMES)
    write_film(path, scene, cameras, (Kind.RGB,), None, "turntable", "auto", TURN_FPS, quiet)


def write_film(
    output: Path, scene: Any, cameras: Any, kinds: Any, question: Any, path: str, form: str, fps: float, quiet: bool
) -> dict[str, Any]:
    """Write films into a folder, or one film to a file."""
    from lsm_core.views import FilmPlan, Form, make_film

    ending = output.suffix.lower()
    if ending == ".png":
        raise InputError("A film does not fit into one PNG.", "Name a folder or a .mp4, or use --path still.")
    if form not in list(Form):
        raise InputError(f"There is no format '{form}'.", f"Known: {', '.join(Form)}.")
    one_file = ending in FILMS
    folder = output.with_name(f".{output.stem}-film") if one_file else output
    plan = FilmPlan(tuple(kinds), Form(FILMS[ending] if one_file else form), fps, path, sheet=not one_file)
    with progress_bar(disable=quiet) as bar:
        task = bar.add_task("Drawing", total=len(cameras))

        def show(stage: str, done: int, total: int) -> None:
            bar.update(task, description=stage, completed=done, total=total)

        film = make_film(scene, cameras, folder, plan, question, show)
    files = [str(file) for file in film.files.values()]
    if one_file:
        files = _only_file(film.files, output, folder)
    elif film.sheet is not None:
        files += [str(film.sheet), str(film.path)]
    return {"path": path, "frames": film.frames, "resumed": film.resumed, "format": film.form.value, "files": files}


def _only_file(made: dict[str, Path], output: Path, folder: Path) -> list[str]:
    """Move the one film of a folder to its place."""
    import shutil

    names = list(made)
    files = []
    for index, name in enumerate(names):
        target = output if index == 0 else output.with_name(f"{output.stem}_{name}{output.suffix}")
        made[name].replace(target)
        files.append(str(target))
    shutil.rmtree(folder, ignore_errors=True)
    return files
