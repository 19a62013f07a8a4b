"""The shards of a folder, in memory, growing while a generator still writes."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lsm_core.data.shards import FrameShard, list_shards, load_shard
from lsm_core.errors import FileFormatError, InputError

_log = logging.getLogger(__name__)
LABEL_STRIDE = 4
MIN_SHARE = 0.01


def shard_bytes(shard: FrameShard) -> int:
    """Return the size of a shard in memory."""
    return sum(int(value.nbytes) for value in vars(shard).values())


def classes_shown(shard: FrameShard) -> list[list[int]]:
    """Return per pair the classes (void left out) that fill at least 1 % of its first frame."""
    shown = []
    for frame in shard.label[:, ::LABEL_STRIDE, ::LABEL_STRIDE]:
        count = np.bincount(frame.ravel(), minlength=1)
        count[0] = 0
        shown.append(np.flatnonzero(count >= MIN_SHARE * frame.size).tolist())
    return [shown[int(first)] for first, _ in shard.pairs]


class ShardPool:
    """All pairs of a folder, drawn uniformly or by class, among those with enough overlap.

    Args:
        folders: hold ``shard_*.npz``; files that appear later are picked up by ``rescan``.
        memory_gb: further files are left unread beyond this.
    """

    def __init__(self, folders: Path | Sequence[Path], memory_gb: float) -> None:
        self.folders = (folders,) if isinstance(folders, Path) else tuple(folders)
        self.limit = memory_gb * 1e9
        self.shards: list[FrameShard] = []
        self._seen: set[tuple[str, int]] = set()
        self._by_class: dict[int, list[tuple[int, int]]] = {}  # class -> (shard, pair)
        self._bytes = 0
        self._last_scan = 0.0
        self.rescan()
        if not self.shards:
            raise InputError(
                f"There are no readable shards (shard_*.npz) in {', '.join(map(str, self.folders))}.",
                "Write some first with the data generator (docs/training_data.md).",
            )

    def rescan(self) -> int:
        """Read files that are new since the last scan; return how many were added."""
        added = 0
        for path in (path for folder in self.folders for path in list_shards(folder)):
            stamp = (str(path), path.stat().st_mtime_ns)
            if stamp in self._seen or self._bytes >= self.limit:
                continue
            try:
                shard = load_shard(path)
            except FileFormatError as error:
                _log.warning("%s (left out for now)", error)
                continue
            self._seen.add(stamp)
            if len(shard.pairs) == 0:
                continue
            for pair, shown in enumerate(classes_shown(shard)):
                for label in shown:
                    self._by_class.setdefault(label, []).append((len(self.shards), pair))
            self.shards.append(shard)
            self._bytes += shard_bytes(shard)
            added += 1
        self._last_scan = time.monotonic()
        return added

    def rescan_if_due(self, seconds: float) -> int:
        """Rescan when the last scan is older than this."""
        return self.rescan() if time.monotonic() - self._last_scan > seconds else 0

    @property
    def pair_count(self) -> int:
        """Pairs of all shards."""
        return sum(len(shard.pairs) for shard in self.shards)

    def draw(
        self, rng: np.random.Generator, min_overlap: float, by_class: float = 0.0
    ) -> tuple[FrameShard, int, int]:
        """Draw one pair.

        Args:
            rng: source of randomness.
            min_overlap: pairs below are passed over (twenty tries).
            by_class: probability of drawing a class first and then a pair that shows it.

        Returns:
            The pair's shard and its two frame indices.
        """
        for _ in range(20):
            shard, index = self._one(rng, rng.random() < by_class)
            if shard.overlap[index] >= min_overlap:
                break
        first, second = shard.pairs[index]
        return shard, int(first), int(second)

    def _one(self, rng: np.random.Generator, by_class: bool) -> tuple[FrameShard, int]:
        if by_class and self._by_class:
            labels = sorted(self._by_class)
            group = self._by_class[labels[int(rng.integers(len(labels)))]]
            number, index = group[int(rng.integers(len(group)))]
            return self.shards[number], index
        counts = np.array([len(shard.pairs) for shard in self.shards], dtype=np.float64)
        shard = self.shards[int(rng.choice(len(counts), p=counts / counts.sum()))]
        return shard, int(rng.integers(len(shard.pairs)))
