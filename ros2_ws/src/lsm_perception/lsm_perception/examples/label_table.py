"""From words to labels by `~/segmentation/label_info`, also while the standing queries change."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping

ON_THE_WAY_S = 1.0  # topics have no common order: an image of before may come this long after a new table


class LabelTable:
    """Which labels stand for which words.

    When the standing queries change, label images of before may still be on their way, and the node may have one
    keyframe in work that comes with the labels of before. Neither is read.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._texts: dict[int, str] | None = None
        self._changed_ns = -1
        self._changed_s = -math.inf
        self._one_in_work = False

    def hear(self, texts: Mapping[int, str], stamp_ns: int) -> None:
        """Take a table.

        Args:
            texts: word per label.
            stamp_ns: of the table: of the newest keyframe when it was published.
        """
        plain = {int(label): text.casefold() for label, text in texts.items()}
        if self._texts is not None and plain != self._texts:
            self._changed_ns, self._changed_s, self._one_in_work = stamp_ns, self._now(), True
        self._texts = plain

    def usable(self, stamp_ns: int) -> bool:
        """Whether a label image with this stamp was made with this table; to be called once per image."""
        if self._texts is None:
            return False
        # Not for ever: stamps are smaller again after time has jumped back (a bag that starts again).
        if stamp_ns <= self._changed_ns and self._now() - self._changed_s < ON_THE_WAY_S:
            return False
        in_work, self._one_in_work = self._one_in_work, False
        return not in_work

    def labels(self, words: Collection[str]) -> frozenset[int]:
        """Return the labels of words; case does not matter, and words that are not asked for have none."""
        wanted = {word.casefold() for word in words}
        return frozenset(label for label, text in (self._texts or {}).items() if text in wanted)

    def unknown(self, words: Collection[str]) -> tuple[str, ...]:
        """Return the words that are not among the standing queries."""
        known = set((self._texts or {}).values())
        return tuple(word for word in words if word.casefold() not in known)
