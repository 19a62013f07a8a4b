"""Reads /diagnostics as a robot heard it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot import Robot
from waiting import wait_until


@dataclass(frozen=True)
class Diagnosis:
    """One status of the newest message: its level (0 OK, 1 WARN, 2 ERROR), message and values."""

    level: int
    message: str
    values: dict[str, str]


def newest(robot: Robot, part: str) -> Diagnosis:
    """Return the newest status of a part (input, model, qos, `camera`, `scale` ...)."""
    for array in reversed(robot.messages("diagnostics")):
        for status in array.status:
            if status.name.rpartition(": ")[2] == part:
                level = int.from_bytes(status.level, "little")
                return Diagnosis(level, status.message, {kv.key: kv.value for kv in status.values})
    return Diagnosis(-1, "", {})


def diagnosed(
    robot: Robot, part: str, condition: Callable[[Diagnosis], bool], timeout_s: float = 15.0
) -> Diagnosis:
    """Wait until the newest status of a part fulfils a condition, and return it."""
    assert wait_until(lambda: condition(newest(robot, part)), timeout_s), newest(robot, part)
    return newest(robot, part)
