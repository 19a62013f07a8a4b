"""The end of every program that prints a page made from the code: to the file named, or to the terminal."""

from __future__ import annotations

import sys
from pathlib import Path


def print_page(text: str) -> int:
    """Write the text to the file named on the command line, or print it; return the exit code."""
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    return 0
