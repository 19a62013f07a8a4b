"""The bars that version 0 of lsm-tiny is held to, and whether a measurement meets them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lsm_core.evaluation.tables import Cell, Column, Table


@dataclass(frozen=True)
class Bar:
    """One requirement and what was measured.

    Attributes:
        name: what is required.
        measured: the figure.
        bound: what it is compared with.
        at_least: the figure must be at least the bound; at most otherwise.
        strict: equality does not do.
    """

    name: str
    measured: float
    bound: float
    at_least: bool
    strict: bool = False

    @property
    def met(self) -> bool:
        """Whether the bar is reached; NaN reaches none."""
        if math.isnan(self.measured) or (self.strict and self.measured == self.bound):
            return False
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound


def bars_table(title: str, bars: Sequence[Bar]) -> Table:
    """Return one row per bar."""
    columns = [Column("bar"), Column("measured"), Column("needed"), Column("met")]
    rows: list[list[Cell]] = []
    for bar in bars:
        sign = ("more than" if bar.strict else "≥") if bar.at_least else ("less than" if bar.strict else "≤")
        rows.append([bar.name, bar.measured, f"{sign} {bar.bound:.3g}", "yes" if bar.met else "no"])
    return Table(title, columns, rows)
