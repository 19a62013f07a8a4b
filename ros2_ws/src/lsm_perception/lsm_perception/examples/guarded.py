"""Callbacks that cannot end their node: what they raise is logged, and the next message is heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from rclpy.node import Node

from lsm_perception.symptoms import Symptom, see

M = TypeVar("M")
QUIET_S = 5.0  # between two lines of one kind in the log


def guarded(node: Node, callback: Callable[[M], None]) -> Callable[[M], None]:
    """Return the callback with its exceptions logged on the node, at most one line in QUIET_S seconds."""

    def call(message: M) -> None:
        try:
            callback(message)
        except Exception as error:
            line = f"A message of type {type(message).__name__} was not used: {type(error).__name__}: {error}"
            node.get_logger().error(see(line, Symptom.PLANNER), throttle_duration_sec=QUIET_S)

    return call
