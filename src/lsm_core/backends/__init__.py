"""One file per system, behind one contract."""

from lsm_core.backends.base import Backend
from lsm_core.backends.registry import (
    backend_names,
    load_backend,
    load_semantics,
    resolve_device,
    semantic_names,
    with_semantics,
)
from lsm_core.backends.semantic_source import SemanticMap, SemanticSource

__all__ = [
    "Backend",
    "SemanticMap",
    "SemanticSource",
    "backend_names",
    "load_backend",
    "load_semantics",
    "resolve_device",
    "semantic_names",
    "with_semantics",
]
