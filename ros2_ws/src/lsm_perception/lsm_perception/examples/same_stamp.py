"""Messages of several topics that belong together: those with exactly the same stamp."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class SameStamp:
    """Collects one message per topic and stamp; bounded, whatever never becomes complete."""

    def __init__(self, topics: Sequence[str], kept: int = 8) -> None:
        """Start empty.

        Args:
            topics: names of which one message each makes a set.
            kept: stamps remembered at most; the oldest leave first.
        """
        self._topics = frozenset(topics)
        self._kept = kept
        self._sets: dict[int, dict[str, Any]] = {}

    def put(self, topic: str, stamp_ns: int, message: Any) -> dict[str, Any] | None:
        """Add a message and return its set once that is complete; older incomplete sets are then given up."""
        found = self._sets.setdefault(stamp_ns, {})
        found[topic] = message
        if found.keys() == self._topics:
            self._sets = {stamp: messages for stamp, messages in self._sets.items() if stamp > stamp_ns}
            return found
        for stamp in sorted(self._sets)[: -self._kept]:
            del self._sets[stamp]
        return None

    def clear(self) -> None:
        """Forget everything."""
        self._sets.clear()
