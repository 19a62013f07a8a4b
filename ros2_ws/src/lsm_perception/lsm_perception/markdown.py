"""Tables, and words of comments that are names, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_NAME = re.compile(r"(?<![\w`.*])(\*?~?/?(?:\w+[./])*\w*_\w+(?:[./]\w+)*|~/\w+(?:/\w+)*)(?![\w`])")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table, with an empty line after it."""
    lines = [line(head), "|" + "---|" * len(head)]
    return [*lines, *(line(row) for row in rows), ""]


def line(cells: Sequence[str]) -> str:
    """Return one row."""
    return "| " + " | ".join(cells) + " |"


def code(text: str) -> str:
    """Return a name as code."""
    return f"`{text}`"


def prose(text: str) -> str:
    """Return a comment: names and topics become code, and Markdown's own signs are escaped."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):  # the others are code already
        words = _NAME.split(parts[index])
        words[::2] = [word.replace("<", "&lt;").replace("*", "\\*").replace("|", "\\|") for word in words[::2]]
        words[1::2] = [code(word) for word in words[1::2]]
        parts[index] = "".join(words)
    return "`".join(parts)
