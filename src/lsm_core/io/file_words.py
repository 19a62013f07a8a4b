"""Words as parts of file names."""

from __future__ import annotations


def file_word(text: str) -> str:
    """Return a text as a part of a file name: letters, digits and underscores, at most 40."""
    return "".join(c if c.isalnum() else "_" for c in text.strip().lower())[:40] or "_"
