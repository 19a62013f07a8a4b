"""Getting what the verbs work on: images, and a model with something shown while it loads."""

from __future__ import annotations

from collections.abc import Sequence
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


def load_model(name: str, device: str, weights: Path | None, texts: Sequence[str] = ()) -> Backend:
    """Load a backend; before any work is done, refuse texts for one that cannot answer them.

    Raises:
        UnsupportedError: texts given, and the backend has no language features.
        UnknownBackendError, WeightsError, DeviceError: see `lsm_core.load_backend`.
    """
    with err.status(f"Loading {name} ..."):
        backend = load_backend(name, device=device, weights=weights)
    if texts and not backend.has_language:
        raise UnsupportedError(
            f"Backend '{name}' has no language features, so it cannot look for words.",
            "Leave the query out, or use lsm-tiny or lsm.",
        )
    return backend
