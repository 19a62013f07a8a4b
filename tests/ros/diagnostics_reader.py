"""What /diagnostics said last about a part of the node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from robot import Robot
from waiting import wait_until

WARN, ERROR = DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def statuses(robot: Robot, part: str) -> list[DiagnosticStatus]:
    """Return what was heard about a part (input, model, scale), oldest first."""
    return [s for m in robot.messages("diagnostics") for s in m.status if s.name.endswith(f": {part}")]


def value(status: DiagnosticStatus, key: str) -> str:
    """Return one of a status's values, "" when it has none of this name."""
    return next((entry.value for entry in status.values if entry.key == key), "")


def wait_for_status(
    robot: Robot, part: str, fits: Callable[[DiagnosticStatus], Any], timeout_s: float = 15.0
) -> DiagnosticStatus:
    """Wait until a part's newest status fits, and return it."""

    def found() -> bool:
        heard = statuses(robot, part)
        return bool(heard) and bool(fits(heard[-1]))

    heard_last = wait_until(found, timeout_s)
    assert heard_last, statuses(robot, part)[-1:]
    return statuses(robot, part)[-1]


def fresh_status(robot: Robot, part: str) -> DiagnosticStatus:
    """Return a part's status as it is now: what was heard so far may be a period old."""
    before = len(statuses(robot, part))
    return wait_for_status(robot, part, lambda _s: len(statuses(robot, part)) >= before + 2)
