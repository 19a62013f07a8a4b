"""Backend names and how to get them; the module of a backend is imported when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch

from lsm_core.backends.base import Backend
from lsm_core.errors import DeviceError, UnknownBackendError

# name -> module; each module has `load(device: torch.device, weights: Path | None) -> Backend`
_MODULES: dict[str, str] = {
    "lsm-tiny": "lsm_core.backends.tiny",
    "lsm": "lsm_core.backends.lsm",
    "dust3r": "lsm_core.backends.dust3r",
}

Loader = Callable[[torch.device, Path | None], Backend]


def backend_names() -> tuple[str, ...]:
    """Return the names that `load_backend` knows."""
    return tuple(_MODULES)


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn "auto", "cpu", "cuda", "cuda:1" into a device that exists.

    Raises:
        DeviceError: CUDA was asked for and is absent, or the name is not a device.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"'{device}' is not a device.", "Use auto, cpu or cuda.") from error
    if resolved.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError("CUDA was asked for, but this PyTorch sees no GPU.", "Use device=auto or device=cpu.")
    return resolved


def load_backend(
    name: str = "lsm-tiny", device: str | torch.device = "auto", weights: str | Path | None = None
) -> Backend:
    """Load a backend, ready to predict.

    Args:
        name: one of `backend_names()`.
        device: "auto" (a GPU if there is one), "cpu", "cuda" ...
        weights: file or folder with the official checkpoints; None for weights shipped in the package.

    Raises:
        UnknownBackendError: no such backend.
        WeightsError: weights are missing, damaged or of another model.
        DeviceError: the device is absent.
    """
    if name not in _MODULES:
        raise UnknownBackendError(f"There is no backend '{name}'.", f"Choose one of: {', '.join(backend_names())}.")
    load = cast(Loader, importlib.import_module(_MODULES[name]).load)
    return load(resolve_device(device), None if weights is None else Path(weights))
