"""A ROS node of this process, spun by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rclpy.node import Node

N = TypeVar("N", bound="Node")


@contextmanager
def spun(node: N) -> Iterator[N]:
    """Spin a node in a thread of its own until the block ends, then destroy it."""
    from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

    executor = SingleThreadedExecutor()
    executor.add_node(node)

    def spin() -> None:
        with suppress(ExternalShutdownException):
            executor.spin()

    thread = threading.Thread(target=spin, name=f"{node.get_name()}-spin", daemon=True)
    thread.start()
    try:
        yield node
    finally:
        executor.shutdown(timeout_sec=2.0)
        thread.join(5.0)
        node.destroy_node()


@contextmanager
def spinning(make: Callable[[], N], arguments: Sequence[str] = ()) -> Iterator[N]:
    """Give the node that `make` creates, spun until the block ends; rclpy is initialised with the arguments."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=list(arguments), signal_handler_options=SignalHandlerOptions.NO)
    try:
        with spun(make()) as node:
            yield node
    finally:
        rclpy.try_shutdown()
