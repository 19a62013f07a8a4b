"""Getting what the verbs work on: images, and a model with something shown while it loads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends import Backend, load_backend
from lsm_core.backends.base import check_image
from lsm_core.cli.console import err
from lsm_core.errors import InputError, UnsupportedError
from lsm_core.io import read_image


def load_images(paths: Sequence[Path]) -> list[NDArray[np.uint8]]:
    """Read two or more images, each [H, W, 3] uint8 RGB, upright.

    Raises:
        InputError: fewer than two, or a side that is too short or too long.
        FileFormatError: a file is missing or no image.
    """
    if len(paths) < 2:
        raise InputError("This needs two images.", "Give two image files of the same scene.")
    return [check_image(read_image(path)) for path in paths]


@dataclass(frozen=True)
class ModelChoice:
    """What the options of a verb say about the model; see `lsm_core.load_backend`."""

    name: str
    device: str = "auto"
    weights: Path | None = None
    semantics: str | None = None
    semantics_weights: Path | None = None
    refine: str | None = None
    patience: int | None = None


def load_at(full_resolution: bool, name: str, device: str, weights: Path | None) -> Backend:
    """Load a backend; lsm-tiny without `full_resolution` does not look at the images as given.

    Raises:
        UnknownBackendError, WeightsError, DeviceError: see `lsm_core.load_backend`.
    """
    if full_resolution or name != "lsm-tiny":
        return load_backend(name, device, weights)
    from lsm_core.backends.tiny import TinyOptions

    return load_backend(name, device, weights, options=TinyOptions(full_resolution=None))


def load_model(choice: ModelChoice, texts: Sequence[str] = ()) -> Backend:
    """Load a backend; before any work is done, refuse texts for one that cannot answer them.

    Raises:
        UnsupportedError: texts given, and the backend has no language features.
        UnknownBackendError, WeightsError, DeviceError: see `lsm_core.load_backend`.
    """
    with err.status(f"Loading {choice.name} ..."):
        backend = load_backend(
            choice.name, choice.device, choice.weights, choice.semantics, choice.semantics_weights
        )
    if texts and not backend.has_language:
        raise UnsupportedError(
            f"Backend '{choice.name}' has no language features, so it cannot look for words.",
            "Leave the query out, use lsm-tiny or lsm, or add words with --semantics lsm-tiny or --semantics lseg.",
        )
    return backend if choice.refine is None else refined(backend, choice.refine, choice.patience)


def refined(backend: Backend, method: str, patience: int | None = None) -> Backend:
    """Return the backend with its poses refined; say so where LPIPS cannot be part of it.

    Raises:
        InputError: there is no such method.
    """
    from lsm_core.backends.with_refinement import with_refinement
    from lsm_core.geometry.refined_prediction import refine_method
    from lsm_core.weights.lpips_package import INSTALL

    found = with_refinement(backend, refine_method(method), patience)
    if found.method == "adam" and found.lpips is None:
        err.print(f"[yellow]Without LPIPS, whose weights are not installed:[/] {INSTALL}")
    return found
