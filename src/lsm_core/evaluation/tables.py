"""A table that can be printed, written as Markdown and kept as JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable

from lsm_core.io.atomic import write_text

Cell = str | float | int | None


@dataclass(frozen=True)
class Column:
    """A heading and how its numbers are written, as a format specification."""

    name: str
    spec: str = ".3f"


@dataclass(frozen=True)
class Table:
    """Rows under headings.

    Attributes:
        title: what it shows.
        columns: headings with formats.
        rows: cells; None and NaN are shown as a dash.
        note: a sentence below.
    """

    title: str
    columns: Sequence[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""

    def texts(self) -> list[list[str]]:
        """Return the cells as they are shown."""
        return [[_text(cell, c.spec) for cell, c in zip(row, self.columns, strict=True)] for row in self.rows]

    def rich(self) -> RichTable:
        """Return the table for a terminal."""
        out = RichTable(title=self.title, caption=self.note or None, title_justify="left", caption_justify="left")
        for index, column in enumerate(self.columns):
            out.add_column(column.name, justify="left" if index == 0 else "right", no_wrap=index == 0)
        for row in self.texts():
            out.add_row(*row)
        return out

    def markdown(self) -> str:
        """Return the table as Markdown with its title and note."""
        head = "| " + " | ".join(c.name for c in self.columns) + " |"
        rule = "|" + "|".join(" --- " if i == 0 else " ---: " for i in range(len(self.columns))) + "|"
        body = ["| " + " | ".join(row) + " |" for row in self.texts()]
        return "\n".join([f"**{self.title}**", "", head, rule, *body, *(["", self.note] if self.note else [])])

    def plain(self) -> dict[str, Any]:
        """Return the table for JSON; NaN becomes null."""
        rows = [[None if isinstance(c, float) and not math.isfinite(c) else c for c in row] for row in self.rows]
        return {"title": self.title, "columns": [c.name for c in self.columns], "rows": rows, "note": self.note}


def update_markdown(path: Path, command: str, text: str) -> None:
    """Put text into a Markdown file between the markers of a command; the rest of the file stays.

    The block is appended where the file has no such markers, and the file is made where there is none.
    """
    begin, end = f"<!-- begin: {command} -->", f"<!-- end: {command} -->"
    block = f"{begin}\n{text.strip()}\n{end}"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
    if pattern.search(old):
        new = pattern.sub(lambda _: block, old, count=1)
    else:
        new = f"{old.rstrip()}\n\n{block}\n" if old.strip() else f"{block}\n"
    write_text(path, new)


def _text(cell: Cell, spec: str) -> str:
    """Return one cell as shown."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "–"
    if isinstance(cell, float):
        return format(cell, spec)
    return str(cell)
