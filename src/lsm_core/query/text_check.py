"""What counts as a text to ask for."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from lsm_core.errors import QueryError

MAX_TEXTS = 64
MAX_LENGTH = 256
JOINERS = "\u200c\u200d"  # they belong to Persian and Indic words, and to emoji of several parts


def check_texts(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the texts in one form: NFKC, without invisible format characters, outer and repeated spaces.

    Two texts of the same form but for case are the same text.

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


def _check_text(text: str, position: int) -> str:
    name = f"Text {position + 1}"
    if not isinstance(text, str):
        raise QueryError(f"{name} is not a string but {type(text).__name__}.")
    if len(text) > MAX_LENGTH:
        raise _too_long(name, text)
    # Cc: control, Cs: lone surrogates (broken UTF-8), Co and Cn: without meaning.
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and c not in "\t\n\r" for c in text):
        raise QueryError(f"{name} has control characters or is not valid Unicode.", "Send plain UTF-8 text.")
    clean = normal_form(text)
    if len(clean) > MAX_LENGTH:  # a sign can stand for several letters
        raise _too_long(name, clean)
    if not any(c.isalnum() for c in clean):
        raise QueryError(f"{name} is empty.", 'Name a thing, such as "chair".')
    return clean


def normal_form(text: str) -> str:
    """Return the text in NFKC (full-width letters become plain ones), without invisible signs and spare spaces."""
    visible = "".join(c for c in text if unicodedata.category(c) != "Cf" or c in JOINERS)
    return " ".join(unicodedata.normalize("NFKC", visible).split())


def _too_long(name: str, text: str) -> QueryError:
    return QueryError(f"{name} has {len(text)} characters; at most {MAX_LENGTH} are possible.", "Shorten it.")
