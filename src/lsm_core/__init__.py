"""From two unposed images to point clouds, poses, 3D Gaussians and language-queried masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsm_core import _native_threads  # noqa: F401  isort: skip  (before anything that loads NumPy or PyTorch)
from lsm_core import errors
from lsm_core.backends import (
    Backend,
    SemanticSource,
    backend_names,
    load_backend,
    load_semantics,
    semantic_names,
    with_semantics,
)
from lsm_core.types import Camera, Gaussians, Prediction, QueryResult, RenderResult, Sim3, ViewFeatures

if TYPE_CHECKING:
    from lsm_core.render import render

__version__ = "0.1.0"

__all__ = [
    "Backend",
    "Camera",
    "Gaussians",
    "Prediction",
    "QueryResult",
    "RenderResult",
    "SemanticSource",
    "Sim3",
    "ViewFeatures",
    "backend_names",
    "errors",
    "load_backend",
    "load_semantics",
    "render",
    "semantic_names",
    "with_semantics",
]


def __getattr__(name: str) -> Any:
    """Import the renderer on first use: its compiler is heavy and most callers never render."""
    if name == "render":
        from lsm_core.render import render

        return render
    raise AttributeError(f"module 'lsm_core' has no attribute '{name}'")
