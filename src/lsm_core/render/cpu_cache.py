"""Kernels compiled from older sources are thrown away.

numba keeps compiled kernels beside the sources and compiles again when a kernel's own file changes. It does not
notice a change in a file that the kernel takes a function or a constant from.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def discard_stale_kernels() -> None:
    """Remove this package's compiled kernels that are older than one of its sources; once per process."""
    discard_older_than_sources(Path(__file__).parent)


def discard_older_than_sources(folder: Path) -> int:
    """Remove the indices of numba's cache of a folder that are older than one of its sources; returns how many."""
    removed = 0
    try:
        newest = max(source.stat().st_mtime for source in folder.glob("*.py"))
        for index in (folder / "__pycache__").glob("*.nbi"):
            if index.stat().st_mtime < newest:
                index.unlink(missing_ok=True)
                removed += 1
    except OSError as error:  # another process is doing the same, or the folder cannot be written
        logger.debug("The cache of kernels could not be looked through: %s", error)
    return removed
