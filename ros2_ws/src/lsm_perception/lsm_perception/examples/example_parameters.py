"""Parameters of an example: one frozen dataclass of settings, declared once, with descriptions and ranges."""

from __future__ import annotations

from typing import TypeVar

from rclpy.node import Node

from lsm_core.errors import QueryError
from lsm_core.query import split_texts
from lsm_perception.declaration import declare_setting, nearest, refusal, unknown_overrides
from lsm_perception.parameters import default_text, type_name
from lsm_perception.settings import leaves, replaced
from lsm_perception.symptoms import Symptom, see

T = TypeVar("T")


def declared(node: Node, defaults: T) -> T:
    """Declare the settings of a dataclass on a node and return the values in force; they are read at start only.

    Raises:
        InputError: a value from the command line or a parameter file has a wrong type or range.
    """
    entries = {entry.name: entry for entry in leaves(type(defaults))}
    values = {name: declare_setting(node, entry) for name, entry in entries.items()}
    for name in unknown_overrides(node, entries):
        node.get_logger().warning(
            see(
                f"Parameter '{name}' is not one of this node's; it has no effect.{nearest(name, entries)}",
                Symptom.PARAMETERS,
            )
        )
    return replaced(defaults, values)


def words_of(name: str, line: str) -> tuple[str, ...]:
    """Return the words of a parameter such as "rug, cable; person"; none for an empty one.

    Raises:
        InputError: the line is malformed.
    """
    if not line.strip():
        return ()
    try:
        return split_texts(line)
    except QueryError as error:
        raise refusal(name, error.message) from error


def table(settings: type) -> str:
    """Return the settings of a dataclass as a Markdown table, as docs/planner.md has it."""
    lines = ["| parameter | type | default | range | meaning |", "|---|---|---|---|---|"]
    for entry in leaves(settings):
        lines.append(
            f"| `{entry.name}` | {type_name(entry.default)} | `{default_text(entry.default)}` "
            f"| {entry.spec.range_text} | {entry.spec.description} |"
        )
    return "\n".join(lines) + "\n"
