"""The type of the fixture `lsm`: run `lsm WORDS...`, get exit code, standard output, standard error."""

from __future__ import annotations

from collections.abc import Callable

Lsm = Callable[..., tuple[int, str, str]]
