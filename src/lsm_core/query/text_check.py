"""What counts as a text to ask for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from lsm_core.errors import QueryError

MAX_TEXTS = 64
MAX_LENGTH = 256


def check_texts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts with outer and repeated spaces removed.

    Args:
        texts: 1 to 64 strings of 1 to 256 characters, without control characters.

    Raises:
        QueryError: none or too many texts, or one that is not a string, empty, too long, has control characters or
            says the same as another.
    """
    if isinstance(texts, str):
        raise QueryError("Texts must be a list of strings.", "Pass [text] for a single one.")
    if not 1 <= len(texts) <= MAX_TEXTS:
        raise QueryError(f"{len(texts)} texts were asked for; 1 to {MAX_TEXTS} are possible in one call.")
    clean = tuple(_check_text(text, position) for position, text in enumerate(texts))
    seen: set[str] = set()
    for text in clean:
        if text.casefold() in seen:
            raise QueryError(f"The text {text!r} is asked for twice.", "Name each thing once per call.")
        seen.add(text.casefold())
    return clean


def split_texts(line: str) -> tuple[str, ...]:
    """Split a line such as "chair, table; a red sofa" at commas, semicolons and line breaks, and check the parts.

    A repeated part counts once.

    Raises:
        QueryError: nothing is left, or a part is malformed.
    """
    unique: dict[str, str] = {}
    for part in re.split(r"[,;\n\r]", line):
        if part.strip():
            unique.setdefault(" ".join(part.split()).casefold(), part)
    return check_texts(list(unique.values()))


def _check_text(text: str, position: int) -> str:
    name = f"Text {position + 1}"
    if not isinstance(text, str):
        raise QueryError(f"{name} is not a string but {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise QueryError(f"{name} has {len(text)} characters; at most {MAX_LENGTH} are possible.", "Shorten it.")
    # Cc: control, Cs: lone surrogates (broken UTF-8), Co and Cn: without meaning.
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and c not in "\t\n\r" for c in text):
        raise QueryError(f"{name} has control characters or is not valid Unicode.", "Send plain UTF-8 text.")
    clean = " ".join(text.split())
    if not any(c.isalnum() for c in clean):
        raise QueryError(f"{name} is empty.", 'Name a thing, such as "chair".')
    return clean
