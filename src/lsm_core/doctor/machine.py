"""The machine: room for results, and drawing without a display."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

from lsm_core.doctor.finding import Fault, Finding, ok

MIN_FREE_GB = 2.0
DISK = Fault("disk.full", "problem", "There is hardly room for results and maps.", "Free at least 2 GB.")
EGL = Fault(
    "egl.missing",
    "note",
    "Pictures for training cannot be drawn without a display; nothing else needs it.",
    "Only for making training data: pip install 'lsm_core[train]' and the system's libegl1.",
    "training_data.md",
)
FAULTS = (DISK, EGL)


def check_disk(folder: Path | None = None, free_bytes: int | None = None) -> Finding:
    """Is there room for results?

    Args:
        folder: looked at, by default the current one.
        free_bytes: known already, else asked of the system.
    """
    place = folder or Path.cwd()
    free_gb = (shutil.disk_usage(place).free if free_bytes is None else free_bytes) / 1e9
    text = f"{free_gb:.1f} GB in {place}"
    return ok("Free disk", text) if free_gb >= MIN_FREE_GB else DISK.seen("Free disk", text)


def check_egl() -> Finding:
    """Can training data be drawn without a display? Only `lsm train` needs it."""
    try:
        moderngl = importlib.import_module("moderngl")
        context = moderngl.create_standalone_context(backend="egl")
        renderer = str(context.info["GL_RENDERER"])
        context.release()
    except Exception as error:
        return EGL.seen("EGL", f"not usable: {' '.join(str(error).split()) or type(error).__name__}")
    return ok("EGL", renderer)
