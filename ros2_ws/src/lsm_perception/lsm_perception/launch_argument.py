"""`name:=value` arguments as tables: what launch files and `./run` commands share.

Imports nothing heavy, so a launch file can read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BOOL = ("true", "false")
HELP = ("-h", "--help", "--show-args")


class ArgumentError(Exception):
    """An argument is unknown, missing, or has a value that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class LaunchArgument:
    """One `name:=value` argument.

    Attributes:
        name: as typed on the command line.
        default: the text used when it is not given; "" leaves the matter open, None means that it must be given.
        description: one sentence for `--show-args`.
        choices: the only values allowed, or empty for any.
        parameter: the node parameter it sets when it is not "", or "" for arguments about the process.
        option: the option of the program's own command line that it stands for, or "".
    """

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...] = ()
    parameter: str = ""
    option: str = ""


def parse_words(words: Sequence[str], table: Sequence[LaunchArgument]) -> tuple[dict[str, str], list[str]]:
    """Split `name:=value` words into values by name (defaults filled in) and the words from `--ros-args` on.

    Raises:
        ArgumentError: unknown name, word that is not `name:=value`, value outside the choices, one missing.
    """
    words = list(words)
    extra = words[words.index("--ros-args") :] if "--ros-args" in words else []
    given: dict[str, str] = {}
    for word in words[: len(words) - len(extra)]:
        name, separator, value = word.partition(":=")
        if not separator:
            raise ArgumentError(f"'{word}' is not of the form name:=value.")
        given[name] = value
    return complete(given, table), extra


def complete(given: dict[str, str], table: Sequence[LaunchArgument]) -> dict[str, str]:
    """Return the values of all arguments of a table: those given, else the defaults.

    Raises:
        ArgumentError: a name is unknown, a value outside the choices, or one that must be given is not.
    """
    known = {argument.name: argument for argument in table}
    values: dict[str, str] = {}
    for name, value in given.items():
        if name not in known:
            raise ArgumentError(f"There is no argument '{name}'. Known: {', '.join(known)}.")
        check_choice(known[name], value)
    for argument in table:
        value_or_none = given.get(argument.name, argument.default)
        if value_or_none is None:
            raise ArgumentError(f"{argument.name}:= is missing. {argument.description}")
        values[argument.name] = value_or_none
    return values


def check_choice(argument: LaunchArgument, value: str) -> None:
    """Raise ArgumentError when a value is outside the argument's choices."""
    if value and argument.choices and value not in argument.choices:
        raise ArgumentError(f"{argument.name}:={value} is not one of: {', '.join(argument.choices)}.")


def described(table: Sequence[LaunchArgument]) -> str:
    """Return a table as text, for `--show-args` where `ros2 launch` does not exist."""
    lines = []
    for argument in table:
        choices = f" [{', '.join(argument.choices)}]" if argument.choices else ""
        missing = " (must be given)" if argument.default is None else ""
        lines += [f"{argument.name}:={argument.default or ''}", f"    {argument.description}{choices}{missing}"]
    return "\n".join(lines)
