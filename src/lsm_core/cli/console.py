"""What all verbs share at the terminal: coloured output, JSON, progress bars."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lsm_core.cli.guide import section_of
from lsm_core.errors import LsmError

WIDTH_OF_FILES = 160  # where output goes into a file or a pipe, tables keep their columns

out = Console(highlight=False)
if not out.is_terminal and "COLUMNS" not in os.environ:
    out.width = WIDTH_OF_FILES
err = Console(stderr=True, highlight=False)


def print_error(error: LsmError, as_json: bool) -> None:
    """Say what went wrong and what to do: one red line, or one JSON object on standard output."""
    section = section_of(error)
    if as_json:
        print_json({"ok": False, "code": error.code, "message": error.message, "fix": error.fix, "see": section})
        return
    fix = f" [not bold]Fix: {_plain(error.fix)}[/]" if error.fix else ""
    see = f" [not bold]See {section}[/]" if section else ""
    err.print(f"[bold red]Error ({error.code}):[/] [red]{_plain(error.message)}{fix}{see}[/]", soft_wrap=True)


def print_json(data: Any) -> None:
    """Print one JSON object to standard output; numbers that are not finite become null."""
    json.dump(finite(data), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def finite(data: Any) -> Any:
    """Return the data with NaN and infinities replaced by None, which JSON can hold."""
    if isinstance(data, dict):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def progress_bar(disable: bool = False) -> Progress:
    """Return a progress bar on standard error, with counts and times."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=err, disable=disable, transient=True)


def _plain(text: str) -> str:
    """Escape rich markup and join lines."""
    return " ".join(text.split()).replace("[", "\\[")
