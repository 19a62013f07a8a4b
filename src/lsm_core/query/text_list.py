"""Several things named in one line: "chair, table; sofa"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lsm_core.query.text_check import check_texts, normal_form

# Commas and semicolons of Latin, Arabic, Chinese and Japanese writing, and line breaks.
SEPARATORS = ",;\uff0c\uff1b\u3001\u060c\u061b\n\r"
QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u201e": "\u201c", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_END = rf"\s*(?:[{SEPARATORS}]|$)"
_QUOTED = "|".join(rf"{o}(?P<q{i}>[^{o}{c}]*){c}(?={_END})" for i, (o, c) in enumerate(QUOTES.items()))
_PART = re.compile(rf"\s*(?:{_QUOTED}|(?P<plain>[^{SEPARATORS}]*)){_END}")


def split_texts(texts: str | Sequence[str]) -> tuple[str, ...]:
    """Split one or several lines into the things they name, and check these.

    - Parts end at a comma, a semicolon or a line break, also those of Arabic and East Asian writing.
    - A part in quotes is one thing, separators included, and loses its quotes. Quotes count where the part begins
      with one and ends with its partner; anywhere else they are ordinary characters (12" screen, the dog's bowl).
    - Empty parts are left out; a thing named twice in one line counts once.

    Args:
        texts: a line such as `chair, table; "a red, round table"`, or several.

    Returns:
        The things in order.

    Raises:
        QueryError: a line names nothing, two lines name the same thing, or see `check_texts`.
    """
    lines = [texts] if isinstance(texts, str) else list(texts)
    return check_texts([part for parts in split_each(lines) for part in parts])


def split_each(lines: Sequence[str]) -> list[list[str]]:
    """Return the things that each line names, not checked; a line that names nothing is its own only part."""
    return [_parts(line) or [line] for line in lines]


def quote_text(text: str) -> str:
    """Return a text in quotes where it would be split otherwise, for requests whose entries are split."""
    return text if _parts(text) == [text] else f'"{text}"'


def _parts(line: str) -> list[str]:
    """Return the parts of a line in order, each once, without those that are empty."""
    unique: dict[str, str] = {}
    position = 0
    while position < len(line):
        found = _PART.match(line, position)
        assert found is not None  # the plain part matches anything up to a separator or the end
        text = found[found.lastgroup or "plain"].strip()
        if text:
            unique.setdefault(normal_form(text).casefold(), text)
        position = found.end()
    return list(unique.values())
