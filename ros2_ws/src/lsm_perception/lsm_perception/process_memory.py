"""Keeps the process's memory near what it uses: glibc hoards what many threads have freed.

Each of the node's threads may get a heap of its own, and what one of them frees there is not given back to the
system; a node that is paused and resumed now and then grew by hundreds of MiB in minutes that way.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from typing import Any

M_ARENA_MAX = -8  # of malloc.h
HEAPS = 2


@functools.cache
def _libc() -> Any | None:
    """Return glibc, or None where the C library is another one."""
    try:
        library = ctypes.CDLL(ctypes.util.find_library("c") or "libc.so.6")
    except OSError:
        return None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def limit_heaps() -> bool:
    """Let all threads share two heaps; call it before they start. False where this is not possible."""
    libc = _libc()
    return libc is not None and libc.mallopt(M_ARENA_MAX, HEAPS) == 1


def return_free_memory() -> None:
    """Give freed memory back to the system where this is possible; takes some milliseconds."""
    libc = _libc()
    if libc is not None:
        libc.malloc_trim(0)
