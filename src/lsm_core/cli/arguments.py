"""Options that several verbs share, and how their texts are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from lsm_core.errors import InputError

BackendOption = Annotated[str, typer.Option("--backend", "-b", help="Model: lsm-tiny, lsm, ...")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")]
WeightsOption = Annotated[Path | None, typer.Option(help="Checkpoint file or folder; default: those shipped.")]
FullSizeOption = Annotated[
    bool,
    typer.Option(
        "--full-resolution/--no-full-resolution",
        help="lsm-tiny: search and refine poses on the images as given, correct depth by the parallax seen.",
    ),
]
SemanticsOption = Annotated[
    str | None,
    typer.Option(help="Take the words from this source instead of the model: lseg, lsm-tiny."),
]
SemanticsWeightsOption = Annotated[
    Path | None, typer.Option(help="Checkpoint file or folder of --semantics; default: those shipped.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
QueryOption = Annotated[list[str] | None, typer.Option("--query", "-q", help="Words to look for; repeatable.")]
IntrinsicsOption = Annotated[
    str | None,
    typer.Option("--intrinsics", help="fx,fy,cx,cy in pixels of the images as they are shown; default: estimated."),
]
PosesOption = Annotated[
    Path | None,
    typer.Option(
        help="For models that need poses: poses.json of a reconstruction, a JSON list of 4x4 matrices (camera to a "
        "frame they share), or a TUM file, one pose per image."
    ),
]
PosesFromOption = Annotated[
    str | None,
    typer.Option(help="For models that need poses: take them from this model; default without --poses: lsm-tiny."),
]
PosesWeightsOption = Annotated[
    Path | None, typer.Option(help="Checkpoint file or folder of --poses-from; default: those shipped.")
]
TurntableOption = Annotated[bool, typer.Option(help="Also draw the Gaussians from around: turntable.webp.")]


RefineOption = Annotated[
    str | None,
    typer.Option(
        "--refine-pose",
        help="Make poses fit the model's own Gaussians: adam (200 steps, as NoPoSplat) or gauss-newton (fast).",
    ),
]
PatienceOption = Annotated[
    int | None, typer.Option("--patience", min=1, help="With adam: stop after this many steps without gain.")
]


def numbers(text: str, count: int, what: str) -> list[float]:
    """Read `count` finite comma-separated numbers.

    Raises:
        InputError: another number of them, or something else.
    """
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise InputError(f"{what} must be {count} numbers with commas between, got '{text}'.")
    return values


def intrinsics(text: str | None) -> NDArray[Any] | None:
    """Return [3, 3] float64 of `fx,fy,cx,cy`, or None."""
    if text is None:
        return None
    fx, fy, cx, cy = numbers(text, 4, "--intrinsics")
    if fx <= 0 or fy <= 0:
        raise InputError("--intrinsics needs positive focal lengths.")
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def image_size(text: str) -> tuple[int, int]:
    """Return (width, height) of `640x480`.

    Raises:
        InputError: another form, or outside 16 to 8192 pixels.
    """
    words = text.lower().split("x")
    if len(words) != 2 or not all(word.isdigit() and 16 <= int(word) <= 8192 for word in words):
        raise InputError(f"A size must look like 640x480, 16 to 8192 pixels each, got '{text}'.")
    return int(words[0]), int(words[1])
