"""Which models the parameters ask for: the geometry, what answers words, what finds poses for those that ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lsm_core.backends import Backend, load_semantics, with_semantics
from lsm_core.backends.without_words import WordlessBackend
from lsm_core.errors import InputError
from lsm_perception.parameters import NodeParameters

BackendLoader = Callable[[str, str, Path | None], Backend]
OWN_SOURCES = ("auto", "model", "none")  # values of semantics.source that name no source


@dataclass(frozen=True)
class Models:
    """The model of the node, and another one that finds the poses it must be told, None without."""

    backend: Backend
    estimator: Backend | None = None


def load_models(parameters: NodeParameters, load: BackendLoader) -> Models:
    """Load what the parameters name.

    Args:
        parameters: in force.
        load: `lsm_core.load_backend`, or what stands for it.

    Raises:
        LsmError: a name, a file or a combination is wrong.
    """
    backend = _with_words(parameters, load)
    if not backend.needs_poses or parameters.poses.backend == "none":
        return Models(backend)
    estimator = load(parameters.poses.backend, parameters.device, _path(parameters.poses.weights))
    if estimator.needs_poses:
        raise InputError(
            f"poses.backend '{parameters.poses.backend}' must be told poses itself.",
            "Choose lsm-tiny, for example.",
        )
    return Models(backend, estimator)


def _with_words(parameters: NodeParameters, load: BackendLoader) -> Backend:
    """Load the backend, with the words that `semantics.source` asks for."""
    semantics = parameters.semantics
    named = semantics.source not in OWN_SOURCES
    # First, so that a missing file is said before a large model is read.
    source = load_semantics(semantics.source, parameters.device, _path(semantics.weights)) if named else None
    backend = load(parameters.backend, parameters.device, _path(parameters.weights))
    if semantics.source == "auto" and not backend.has_language:
        found = "lseg" if semantics.weights else "lsm-tiny"
        source = load_semantics(found, parameters.device, _path(semantics.weights))
    if semantics.source == "none" and backend.has_language:
        return WordlessBackend(backend)
    return backend if source is None else with_semantics(backend, source)


def _path(text: str) -> Path | None:
    return Path(text) if text else None
