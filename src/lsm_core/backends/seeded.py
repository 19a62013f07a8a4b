"""Any backend with random weights: its official file written, small or full size, and read as a user's would be.

What such a model says means nothing; everything around it can be run and timed.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import torch

from lsm_core.backends.base import Backend
from lsm_core.backends.registry import backend_options, load_backend
from lsm_core.errors import UnknownBackendError


def write_seeded(name: str, folder: Path, full: bool = False, seed: int = 0) -> Path | None:
    """Write the official file or files of a backend with random numbers.

    Args:
        name: of the backend.
        folder: gets them; made where missing.
        full: of the released size, up to 8 GB; else so small that a pair takes milliseconds.
        seed: of the numbers.

    Returns:
        What to pass as `weights`; None for a backend whose weights are in the package.

    Raises:
        UnknownBackendError: there is no way to make weights of that backend.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if name == "lsm-tiny":
        return None
    path = folder / f"{name}.ckpt"
    if name in ("lsm", "dust3r"):
        from lsm_core.backends import seeded_checkpoints as lsm

        sizes = (lsm.LsmConfig(), lsm.ClipTextConfig()) if full else (lsm.SMALL, lsm.SMALL_TEXT)
        lsm.write_checkpoints(folder, *sizes, seed)
        return folder
    if name == "mast3r":
        from lsm_core.backends import seeded_mast3r as mast3r

        mast3r.write_mast3r(path, mast3r.Mast3rConfig() if full else mast3r.SMALL_MAST3R, seed)
        return path
    if name == "splatt3r":
        from lsm_core.backends import seeded_mast3r as splatt3r

        splatt3r.write_splatt3r(path, splatt3r.Splatt3rConfig() if full else splatt3r.SMALL_SPLATT3R, seed)
        return path
    if name == "noposplat":
        from lsm_core.backends import seeded_noposplat as noposplat

        noposplat.write_noposplat(path, noposplat.NoposplatConfig() if full else noposplat.SMALL, seed)
        return path
    if name == "pixelsplat":
        from lsm_core.backends import seeded_pixelsplat as pixelsplat

        pixelsplat.write_pixelsplat(path, pixelsplat.PixelsplatConfig() if full else pixelsplat.SMALL, seed)
        return path
    raise UnknownBackendError(f"There are no random weights of '{name}'.", "Pass weights of your own.")


def sized_options(name: str, size: int, reference: bool = False, precision: str = "float32") -> object | None:
    """Return a backend's options for images of a size, those that it has.

    Args:
        name: of the backend.
        size: side of the square, pixels.
        reference: the slow readable twin, where the backend has one.
        precision: of the dense part, where the backend has a choice.

    Returns:
        None where the backend takes its size from the images.
    """
    options = backend_options(name)
    known = {field.name: field.default for field in fields(options)}
    chosen: dict[str, object] = {"size": size, "reference": reference, "precision": precision}
    if known.get("crop") == "middle":
        chosen["crop"] = "keep_square"
    used = {key: value for key, value in chosen.items() if key in known}
    return options(**used) if used else None


def has_twin(name: str) -> bool:
    """Return whether a backend has a slow readable twin."""
    return any(field.name == "reference" for field in fields(backend_options(name)))


def load_seeded(
    name: str,
    folder: Path,
    size: int = 64,
    device: str | torch.device = "cpu",
    full: bool = False,
    reference: bool = False,
) -> Backend:
    """Write random weights and load the backend with them; see `write_seeded` and `sized_options`."""
    weights = write_seeded(name, folder, full)
    return load_backend(name, device, weights, options=sized_options(name, size, reference))
