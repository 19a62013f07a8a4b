"""How many Gaussians a file may unfold to; formats that pack or repeat can announce any number in a few bytes."""

from __future__ import annotations

from lsm_core.errors import FileFormatError

MAX_GAUSSIANS = 20_000_000  # 5 GB as float32 with SH of degree 3; large published scenes have 6 million


def check_count(count: int, name: str) -> None:
    """Refuse a scene that would fill the memory.

    Raises:
        FileFormatError: more than `MAX_GAUSSIANS`.
    """
    if count > MAX_GAUSSIANS:
        raise FileFormatError(
            f"'{name}' unfolds to {count} Gaussians, more than {MAX_GAUSSIANS}.", "Split or prune the scene."
        )
