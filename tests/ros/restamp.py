"""Known views with other stamps: the stub knows them by their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synthetic_world import View


def restamped(views: Sequence[View], start_ns: int, step_ns: int = 100_000_000) -> list[View]:
    """Return the views, the first at a time and each later by the same step."""
    return [replace(view, stamp_ns=start_ns + i * step_ns) for i, view in enumerate(views)]
