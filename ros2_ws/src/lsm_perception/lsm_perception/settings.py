"""How a parameter is described: default, sentence, range, choices, whether it can change while the node runs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

T = TypeVar("T")
MAX_SHOWN = 80
Value = bool | int | float | str | tuple[str, ...]


@dataclass(frozen=True)
class Spec:
    """What is known about one parameter beside its default.

    Attributes:
        description: one sentence, with the unit.
        low, high: inclusive range of a number, None where open.
        choices: the only texts allowed, or empty for any.
        read_only: True when it is read in configure only.
    """

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    read_only: bool = False

    def complaint(self, value: Value) -> str | None:
        """Return why a value (of the right type) is refused, or None when it is fine."""
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            if not math.isfinite(value):
                return f"{value} is not a finite number"
            if (self.low is not None and value < self.low) or (self.high is not None and value > self.high):
                return f"{value} is outside {self.range_text}"
        if isinstance(value, str) and self.choices and value not in self.choices:
            return f"'{value[:MAX_SHOWN]}' is not one of: {', '.join(self.choices)}"
        return None

    @property
    def range_text(self) -> str:
        """The range or the choices, for people."""
        if self.choices:
            return ", ".join(f"`{choice}`" for choice in self.choices)
        if self.low is None and self.high is None:
            return ""
        low = "" if self.low is None else f"{self.low:g}"
        high = "" if self.high is None else f"{self.high:g}"
        return f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}"


def setting(
    default: Value,
    description: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = False,
) -> Any:
    """Return a dataclass field that carries a Spec."""
    return field(default=default, metadata={"spec": Spec(description, low, high, choices, read_only)})


@dataclass(frozen=True)
class Setting:
    """One leaf of a parameter tree: its dotted name, default and Spec."""

    name: str
    default: Value
    spec: Spec


def leaves(tree: type | object, prefix: str = "") -> Iterator[Setting]:
    """Yield the leaves of a tree of dataclasses, in order of definition."""
    for entry in dataclasses.fields(tree):  # type: ignore[arg-type]
        spec = entry.metadata.get("spec")
        if spec is not None:
            yield Setting(prefix + entry.name, cast(Value, entry.default), spec)
        elif isinstance(entry.default_factory, type):
            yield from leaves(entry.default_factory, f"{prefix}{entry.name}.")


def replaced(tree: T, values: Mapping[str, Value]) -> T:
    """Return the tree with leaves changed, by dotted name; unknown names are ignored."""
    changes: dict[str, Any] = {}
    for entry in dataclasses.fields(tree):  # type: ignore[arg-type]
        if entry.name in values:
            changes[entry.name] = values[entry.name]
        elif "spec" not in entry.metadata:
            inner = {k[len(entry.name) + 1 :]: v for k, v in values.items() if k.startswith(entry.name + ".")}
            if inner:
                changes[entry.name] = replaced(getattr(tree, entry.name), inner)
    return dataclasses.replace(tree, **changes)  # type: ignore[type-var]
