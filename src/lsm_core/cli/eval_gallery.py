"""`lsm eval gallery`: a page of pictures of real pairs, typical ones and the worst."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from lsm_core.backends import load_backend
from lsm_core.cli.arguments import BackendOption, DeviceOption, WeightsOption
from lsm_core.cli.console import out
from lsm_core.cli.evaluation_output import LimitOption, ThreadsOption, shown_progress
from lsm_core.evaluation.gallery import figures_of, write_gallery
from lsm_core.evaluation.hololens import read_recording
from lsm_core.evaluation.measuring import StudyOptions
from lsm_core.evaluation.shared_data import find_shared


def gallery(
    page: Annotated[Path, typer.Argument(metavar="PAGE", help="Markdown file, such as docs/gallery.md.")],
    backend: BackendOption = "lsm-tiny",
    weights: WeightsOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    limit: LimitOption = None,
    shared: Annotated[Path | None, typer.Option(help="Folder with data/; default LSM_SHARED or ../shared.")] = None,
    intrinsics: Annotated[bool, typer.Option(help="Give the backend the true intrinsics.")] = True,
) -> None:
    """Write a page of HoloLens pairs: images, depth, confidence, clouds, masks; typical ones and the five worst."""
    if threads is not None:
        torch.set_num_threads(threads)
    recording = read_recording(find_shared(shared))
    with shown_progress("gallery") as bar:
        model = load_backend(backend, device, weights)
        options = StudyOptions(limit=limit, known_intrinsics=intrinsics, progress=bar)
        command = f"lsm eval gallery {page}" + ("" if limit is None else f" --limit {limit}")
        picked = write_gallery(model, recording, page, command, options)
    for one in picked:
        out.print(f"{one.title}: {figures_of(one.record)}", soft_wrap=True, highlight=False)
    out.print(str(page))
