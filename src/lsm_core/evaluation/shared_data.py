"""Where the evaluation data lie: a folder that is not part of this project."""

from __future__ import annotations

import os
from pathlib import Path

from lsm_core.errors import InputError

ENVIRONMENT_VARIABLE = "LSM_SHARED"


def find_shared(folder: Path | None = None) -> Path:
    """Return the folder with `data/`: the one given, else LSM_SHARED, else ../shared beside this checkout.

    Raises:
        InputError: none of them exists.
    """
    checkout = Path(__file__).resolve().parents[3]
    from_environment = os.environ.get(ENVIRONMENT_VARIABLE)
    if folder is not None:
        candidates = [folder]
    elif from_environment:
        candidates = [Path(from_environment)]
    else:
        candidates = [Path.cwd().parent / "shared", checkout.parent / "shared"]
    for candidate in candidates:
        if (candidate / "data").is_dir():
            return candidate
    raise InputError(
        f"The evaluation data are not at {', '.join(str(c) for c in candidates)}.",
        f"Pass --shared DIR or set {ENVIRONMENT_VARIABLE} to the folder that holds data/.",
    )
