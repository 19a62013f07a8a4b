"""One file per system, behind one contract."""

from lsm_core.backends.base import Backend
from lsm_core.backends.registry import backend_names, load_backend, resolve_device

__all__ = ["Backend", "backend_names", "load_backend", "resolve_device"]
