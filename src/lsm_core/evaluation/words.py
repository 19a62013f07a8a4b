"""What a word is worth that stands for a class without being its name: labels asked for by other words.

The recipe of version 1 keeps these words out of its vocabulary (`training/recipes.py`); the weights of version 0
knew them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lsm_core.backends.base import Backend
from lsm_core.evaluation.bars import Bar
from lsm_core.evaluation.labelling import label_grid
from lsm_core.evaluation.semantic_metrics import Confusion
from lsm_core.evaluation.tables import Cell, Column, Table
from lsm_core.types import Prediction

# each round asks for all names at once, some of them by another word
ROUNDS: tuple[dict[str, str], ...] = (
    {"sofa": "couch", "chair": "seat", "rug": "carpet"},
    {"chair": "armchair"},
)
GOAL_SHARE = 0.8


class WordStudy:
    """Counts labels found by other words.

    Args:
        texts: all names asked for.
        names: the classes of the truth.
        text_to_name: [T] index into ``names`` per text; None where they are the same.
    """

    def __init__(
        self, texts: Sequence[str], names: Sequence[str], text_to_name: NDArray[np.int64] | None = None
    ) -> None:
        self._mapping = np.arange(len(texts)) if text_to_name is None else text_to_name
        self._texts = [[swap.get(text, text) for text in texts] for swap in ROUNDS]
        self._found = [Confusion(names) for _ in ROUNDS]

    def add(self, backend: Backend, prediction: Prediction, view: int, true: NDArray[np.int64]) -> None:
        """Label a view in every round; ``true`` [h, w] are ids of ``names``, negative where unlabelled."""
        for texts, confusion in zip(self._texts, self._found, strict=True):
            confusion.add(true, self._mapping[label_grid(backend, prediction, view, texts)])

    def pairs(self, by_name: Confusion) -> list[tuple[str, str, float, float]]:
        """Return (word, name, IoU by the word, IoU by the name) of every word whose class occurs."""
        names = by_name.iou()
        rows = []
        for swap, confusion in zip(ROUNDS, self._found, strict=True):
            words = confusion.iou()
            rows += [(word, name, words[name], names[name]) for name, word in swap.items() if name in words]
        return rows

    def table(self, by_name: Confusion) -> Table:
        """Return one row per word."""
        columns = [Column("word"), Column("for"), Column("IoU by the word"), Column("IoU by the name")]
        rows: list[list[Cell]] = [list(row) for row in self.pairs(by_name)]
        note = "All other classes are asked for by their names; the word takes the place of its class's."
        return Table("Asked for by another word", columns, rows, note)

    def goal(self, by_name: Confusion) -> Bar:
        """Return the goal of version 1: the words' mean IoU against that of the names."""
        pairs = self.pairs(by_name)
        by_word, own = (float(np.mean([row[k] for row in pairs])) if pairs else float("nan") for k in (2, 3))
        share = by_word / own if own > 0 else float("nan")
        return Bar("mean IoU by other words, share of that by the names", share, GOAL_SHARE, at_least=True)
