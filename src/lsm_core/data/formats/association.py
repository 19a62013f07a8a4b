"""Joining two series of time stamps: each entry belongs to at most one of the other, the nearest pairs first."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def associate(
    first_ns: NDArray[np.int64], second_ns: NDArray[np.int64], most_apart_ns: int
) -> list[tuple[int, int]]:
    """Return index pairs in the order of the first series (greedy by distance, as TUM's associate.py).

    Args:
        first_ns, second_ns: ascending stamps.
        most_apart_ns: pairs must lie closer than this.
    """
    candidates = []
    for i, stamp in enumerate(first_ns.tolist()):
        low = int(np.searchsorted(second_ns, stamp - most_apart_ns, side="right"))
        high = int(np.searchsorted(second_ns, stamp + most_apart_ns, side="left"))
        candidates += [(abs(int(second_ns[j]) - stamp), i, j) for j in range(low, high)]
    taken_first: set[int] = set()
    taken_second: set[int] = set()
    pairs = []
    for _, i, j in sorted(candidates):
        if i not in taken_first and j not in taken_second:
            taken_first.add(i)
            taken_second.add(j)
            pairs.append((i, j))
    return sorted(pairs)
