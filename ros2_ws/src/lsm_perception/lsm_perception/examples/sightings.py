"""From detections to one thing that several of them agree on."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lsm_perception.examples.approach import Box


@dataclass(frozen=True, eq=False)
class Sighting:
    """A thing in one message.

    Attributes:
        number: the thing's lasting number, "" where it has none yet.
        word: what it is.
        score: how well the word fits, 0 to 1.
        box: where it is, in a frame that does not move.
    """

    number: str
    word: str
    score: float
    box: Box


class Agreement:
    """Follows one thing through messages until enough of them in a row say that it is in the same place."""

    def __init__(self, messages: int, within_m: float) -> None:
        """Start with nothing.

        Args:
            messages: that must agree, in a row.
            within_m: how far the boxes' middles may be from their median.
        """
        self._within_m = within_m
        self._run: deque[Sighting] = deque(maxlen=messages)
        self._newest_ns = -1

    def see(self, sightings: Sequence[Sighting], stamp_ns: int) -> Sighting | None:
        """Take the things of one message that come into question.

        The thing followed is kept while it is there; otherwise the one with the best score is followed from now on.

        Returns:
            The newest sighting of the thing that all the last messages agree on, None while they do not.
        """
        if stamp_ns == self._newest_ns:
            return None  # the same image again is no second opinion
        self._newest_ns = stamp_ns
        followed = self._run[-1] if self._run else None
        again = [s for s in sightings if followed is not None and self._same(s, followed)]
        if not again:
            self._run.clear()
        found = max(again or sightings, key=lambda s: s.score, default=None)
        if found is None:
            return None
        self._run.append(found)
        middles = np.stack([s.box.middle for s in self._run])
        spread = np.linalg.norm(middles - np.median(middles, axis=0), axis=1).max()
        return found if len(self._run) == self._run.maxlen and spread <= self._within_m else None

    def clear(self) -> None:
        """Forget what was seen."""
        self._run.clear()

    def _same(self, one: Sighting, other: Sighting) -> bool:
        if one.word != other.word:
            return False
        if one.number and other.number:
            return one.number == other.number
        return float(np.linalg.norm(one.box.middle - other.box.middle)) <= self._within_m
