"""Reads .msg and .srv files with their comments: what rosidl drops, a reader of the interface needs.

A comment stands above the fields it explains, up to the next comment or empty line; one after a constant is of that
constant. The first comment of a file is of the whole, up to an empty line, or only its first line where a field
follows.

Source: the interface definition format of https://design.ros2.org/articles/legacy_interface_definition.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FIELD = re.compile(r"(?P<type>[\w/]+(?:\[(?:<=)?\d*\])?)\s+(?P<name>[a-z]\w*)$")
CONSTANT = re.compile(r"(?P<type>\w+)\s+(?P<name>[A-Z]\w*)\s*=\s*(?P<value>\"[^\"]*\"|\S+)\s*(?:#\s*(?P<why>.*))?$")
SEPARATOR = "---"


@dataclass(frozen=True)
class Constant:
    """A named value, as written, and its comment."""

    type: str
    name: str
    value: str
    meaning: str


@dataclass(frozen=True)
class Field:
    """A field and the comment it stands under, which it may share with its neighbours."""

    type: str
    name: str
    meaning: str


@dataclass(frozen=True)
class Part:
    """A message, or the request or reply of a service."""

    constants: tuple[Constant, ...]
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class Definition:
    """A file: name without its ending, what it is for, and one part (message) or two (service)."""

    name: str
    purpose: str
    parts: tuple[Part, ...]


def read_definitions(folder: Path, ending: str) -> tuple[Definition, ...]:
    """Return the definitions of a folder's files with an ending (".msg", ".srv"), by name."""
    files = sorted(folder.glob(f"*{ending}"))
    return tuple(parse_definition(file.stem, file.read_text(encoding="utf-8")) for file in files)


def parse_definition(name: str, text: str) -> Definition:
    """Return a definition.

    Raises:
        ValueError: a line is none of comment, field, constant, separator.
    """
    purpose, rest = _purpose(text.splitlines())
    parts: list[list[str]] = [[]]
    for line in rest:
        if line.strip() == SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(line.strip())
    return Definition(name, purpose, tuple(_part(name, lines) for lines in parts))


def _purpose(lines: list[str]) -> tuple[str, list[str]]:
    """Split off the comment that is of the whole file."""
    end = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    shared = end < len(lines) and FIELD.match(lines[end].strip())
    end = min(end, 1) if shared else end
    return " ".join(line.lstrip("# ").strip() for line in lines[:end]), lines[end:]


def _part(name: str, lines: list[str]) -> Part:
    constants: list[Constant] = []
    fields: list[Field] = []
    comment: list[str] = []
    explained = False  # whether a field stands under this comment
    for line in lines:
        if not line:
            comment, explained = [], False
        elif line.startswith("#"):
            comment, explained = ([] if explained else comment) + [line.lstrip("# ")], False
        elif found := CONSTANT.match(line):
            constants.append(Constant(found["type"], found["name"], found["value"], found["why"] or ""))
        elif found := FIELD.match(line):
            fields.append(Field(found["type"], found["name"], " ".join(comment)))
            explained = True
        else:
            raise ValueError(f"{name}: cannot read the line '{line}'.")
    return Part(tuple(constants), tuple(fields))
