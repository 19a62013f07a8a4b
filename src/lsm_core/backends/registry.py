"""Backend names and how to get them; the module of a backend is imported when it is first asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import torch

from lsm_core.backends.base import Backend
from lsm_core.backends.semantic_source import SemanticSource
from lsm_core.backends.with_semantics import SemanticBackend
from lsm_core.errors import DeviceError, InputError, UnknownBackendError

# name -> module; each has `load(device: torch.device, weights: Path | None, options: OPTIONS | None) -> Backend`
# and OPTIONS, the frozen dataclass of its options
_MODULES: dict[str, str] = {
    "lsm-tiny": "lsm_core.backends.tiny",
    "lsm": "lsm_core.backends.lsm",
    "dust3r": "lsm_core.backends.dust3r",
    "mast3r": "lsm_core.backends.mast3r",
    "splatt3r": "lsm_core.backends.splatt3r",
    "noposplat": "lsm_core.backends.noposplat",
    "pixelsplat": "lsm_core.backends.pixelsplat",
}

# semantic sources: `load(device, weights) -> SemanticSource`
_SEMANTICS: dict[str, str] = {
    "lseg": "lsm_core.backends.lseg",
    "lsm-tiny": "lsm_core.backends.model_semantics",
}

Loader = Callable[..., Backend]
SemanticLoader = Callable[[torch.device, Path | None], SemanticSource]


def backend_names() -> tuple[str, ...]:
    """Return the names that `load_backend` knows."""
    return tuple(_MODULES)


def backend_options(name: str) -> type[Any]:
    """Return the class of a backend's options, a frozen dataclass.

    Raises:
        UnknownBackendError: no such backend.
    """
    if name not in _MODULES:
        raise UnknownBackendError(f"There is no backend '{name}'.{_hint(name)}", _choices(backend_names()))
    return cast(type[Any], importlib.import_module(_MODULES[name]).OPTIONS)


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


def semantic_names() -> tuple[str, ...]:
    """Return the names that `load_semantics` knows."""
    return tuple(_SEMANTICS)


def load_backend(
    name: str = "lsm-tiny",
    device: str | torch.device = "auto",
    weights: str | Path | None = None,
    semantics: str | None = None,
    semantics_weights: str | Path | None = None,
    options: object | None = None,
) -> Backend:
    """Load a backend, ready to predict.

    Args:
        name: one of `backend_names()`.
        device: "auto" (a GPU if there is one), "cpu", "cuda" ...
        weights: file or folder with the official checkpoints; None for weights shipped in the package.
        semantics: one of `semantic_names()`: words come from this source instead of the backend.
        semantics_weights: file or folder of the source; None for weights shipped in the package.
        options: of the backend, such as `lsm_core.backends.lsm.LsmOptions(size=512, backbone="finetuned")`.

    Raises:
        UnknownBackendError: no such backend, or no such semantic source.
        WeightsError: weights are missing, damaged or of another model.
        DeviceError: the device is absent.
        InputError: options of another backend.
    """
    if name not in _MODULES:
        raise UnknownBackendError(f"There is no backend '{name}'.{_hint(name)}", _choices(backend_names()))
    if semantics is not None and semantics not in _SEMANTICS:
        raise UnknownBackendError(f"There is no semantic source '{semantics}'.", _choices(semantic_names()))
    module = importlib.import_module(_MODULES[name])
    if options is not None and not isinstance(options, module.OPTIONS):
        raise InputError(
            f"'{name}' takes no {type(options).__name__}.",
            f"Pass {module.__name__}.{module.OPTIONS.__name__}(...).",
        )
    load = cast(Loader, module.load)
    given = {} if options is None else {"options": options}
    backend = load(resolve_device(device), None if weights is None else Path(weights), **given)
    if semantics is None:
        return backend
    return with_semantics(backend, load_semantics(semantics, backend.device, semantics_weights))


def load_semantics(
    name: str = "lseg", device: str | torch.device = "auto", weights: str | Path | None = None
) -> SemanticSource:
    """Load a semantic source, ready to be asked on its own or beside a backend.

    Args:
        name: one of `semantic_names()`.
        device: see `load_backend`.
        weights: file or folder with the official checkpoint; None for weights shipped in the package.

    Raises:
        UnknownBackendError: no such source.
        WeightsError: weights are missing, damaged or of another model.
        DeviceError: the device is absent.
    """
    if name not in _SEMANTICS:
        raise UnknownBackendError(f"There is no semantic source '{name}'.", _choices(semantic_names()))
    load = cast(SemanticLoader, importlib.import_module(_SEMANTICS[name]).load)
    return load(resolve_device(device), None if weights is None else Path(weights))


def with_semantics(backend: Backend, source: SemanticSource) -> Backend:
    """Return a backend with the geometry of one and the words of the other."""
    return SemanticBackend(backend, source)


def _choices(names: tuple[str, ...]) -> str:
    return f"Choose one of: {', '.join(names)}."


def _hint(name: str) -> str:
    return f" It is a semantic source: use it beside a backend (semantics={name})." if name in _SEMANTICS else ""
