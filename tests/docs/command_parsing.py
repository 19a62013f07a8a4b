"""Commands that are not run are read by the program's own parser: every option exists, every value is valid."""

from __future__ import annotations

import argparse
import re
import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from document_commands import ROOT

from lsm_core.cli.main import app, mount_verbs

# What stands for a word of the reader's own, where the parser would not take just any.
STANDS_FOR = {"PROTOCOL": "lsm-scannet", "SYSTEM": "noposplat", "NAME": "smoke", "BACKEND": "lsm"}


class NotAccepted(Exception):
    """The program's parser refuses the command."""


class _Parsed(Exception):
    """Argparse is done: what comes next is not run."""


def concrete(words: Sequence[str]) -> list[str]:
    """Return words as a reader would type them: no `[...]`, one of `a|b`, a value for `...` behind an option."""
    out: list[str] = []
    for word in words:
        word = re.sub(r"^\[|\]$", "", word) if re.match(r"\[?(--?\w|[A-Z]+\]?$)", word) else word
        if re.fullmatch(r"\w+(\|\w+)+", word):
            word = word.split("|")[0]
        if word == "...":
            if not out or not out[-1].startswith("-"):
                continue
            word = "VALUE"
        out.append(STANDS_FOR.get(word.removesuffix("..."), word.removesuffix("...")))
    return out


def parse_lsm(words: Sequence[str], complete: bool = True) -> None:
    """Read the words behind `lsm`, and run nothing.

    Args:
        words: of the command.
        complete: whether what the command needs, and the value of its last option, must be there.

    Raises:
        NotAccepted: unknown command or option, value that is not allowed, something missing.
    """
    mount_verbs()
    command: Any = typer.main.get_command(app)
    context, rest = None, concrete(words)
    try:
        while True:
            context = command.make_context(command.name or "lsm", list(rest), parent=context)
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not hasattr(command, "commands") or not rest:
                return
            _, command, rest = command.resolve_command(context, rest)
    except Exception as error:
        kind = type(error).__name__
        if kind in ("MissingParameter", "NoArgsIsHelpError", "BadOptionUsage") and not complete:
            return
        raise NotAccepted(f"{kind}: {getattr(error, 'message', error)}") from error


def parse_module(words: Sequence[str]) -> None:
    """Read the command line of `python -m MODULE ...` or `python FILE ...` whose program uses argparse.

    Raises:
        NotAccepted: its parser refuses it.
    """
    try:
        with _stopping_after_arguments(words):
            if words[1] == "-m":
                runpy.run_module(words[2], run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(str(ROOT / words[1]), run_name="__main__")
    except _Parsed:
        return
    except SystemExit as end:
        raise NotAccepted(f"{' '.join(words)}: exit {end.code}") from end
    raise NotAccepted(f"{' '.join(words)} reads no arguments")


@contextmanager
def _stopping_after_arguments(words: Sequence[str]) -> Iterator[None]:
    """Let programs end where they have read their arguments."""
    parse, before, path = argparse.ArgumentParser.parse_args, sys.argv, list(sys.path)

    def parse_and_stop(parser: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> None:
        parse(parser, args, namespace)
        raise _Parsed

    given = words[3:] if words[1] == "-m" else words[2:]
    sys.argv = [str(ROOT / words[1]), *concrete(given)]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))
    argparse.ArgumentParser.parse_args = parse_and_stop  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        sys.argv, argparse.ArgumentParser.parse_args = before, parse  # type: ignore[method-assign]
        sys.path[:] = path
