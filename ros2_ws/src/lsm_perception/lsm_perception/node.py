"""The process: `python -m lsm_perception.node --ros-args ...`. Ends with 0 on SIGINT and SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lsm_perception.requirements import missing_package
from lsm_perception.symptoms import Symptom, see

if TYPE_CHECKING:
    from lsm_perception.models import BackendLoader

NEEDED = ("rclpy", "torch", "lsm_core", "lsm_perception_msgs")
FINISH_S = 1.0
SWITCH_S = 0.0005  # a model asks for the interpreter at each operation, and waits 5 ms by default when it is busy
EXIT_FAILURE = 1


def missing_requirement() -> str | None:
    """Return one line that names the first missing package and the fix, or None."""
    complaint = missing_package("lsm_perception", NEEDED)
    return None if complaint is None else see(complaint, Symptom.NOT_STARTING)


def main(arguments: Sequence[str] | None = None, load: BackendLoader | None = None) -> int:
    """Run the node until it is told to stop.

    Args:
        arguments: of the command line, without the program's name; sys.argv by default.
        load: gives the backend for (name, device, weights) instead of the registry; tests pass their own.

    Returns:
        0 after SIGINT or SIGTERM, 1 when a requirement is missing or a parameter is bad, 3 when the device is lost
        and `fatal_action` is exit.
    """
    complaint = missing_requirement()
    if complaint is not None:
        print(complaint, file=sys.stderr)
        return EXIT_FAILURE
    # Until the node spins there is nothing to put away, and imports of seconds to wait for.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: exit_now(0))
    stop = threading.Event()
    return run(list(sys.argv if arguments is None else ["lsm_perception", *arguments]), stop, load)


def run(argv: list[str], stop: threading.Event, load: BackendLoader | None = None) -> int:
    """Create and spin the node until `stop` is set or the node ends itself; return the exit code."""
    import rclpy
    from rclpy.impl.implementation_singleton import rclpy_implementation
    from rclpy.signals import SignalHandlerOptions

    from lsm_core.errors import LsmError
    from lsm_perception.dds_profile import use_profile
    from lsm_perception.node_executor import NodeExecutor
    from lsm_perception.perception_node import PerceptionNode
    from lsm_perception.process_memory import limit_heaps
    from lsm_perception.ros_logging import RosLogHandler

    limit_heaps()
    sys.setswitchinterval(SWITCH_S)
    use_profile()
    logging.basicConfig(level=logging.INFO, handlers=[RosLogHandler()])
    try:
        rclpy.init(args=argv, signal_handler_options=SignalHandlerOptions.NO)
        node = PerceptionNode() if load is None else PerceptionNode(load)
    except (LsmError, rclpy_implementation.RCLError) as error:  # the latter: SROS2 has no keys for this node
        line = " ".join(str(error).split())
        print(see(f"lsm_perception: {line}", Symptom.NOT_STARTING), file=sys.stderr)
        rclpy.try_shutdown()
        return EXIT_FAILURE
    executor = NodeExecutor()
    executor.add_node(node)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    executor.spin_until(lambda: stop.is_set() or node.exit_code is not None)
    # Entities are destroyed only when nothing can still use them; the process ends either way.
    if node.stop() and executor.finish(FINISH_S):
        node.destroy_node()
        rclpy.try_shutdown()
    return node.exit_code or 0


def exit_now(code: int) -> None:
    """End the process without waiting for a thread that is inside the model."""
    # A signal may come in the middle of a write, where flushing again is an error.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    exit_now(main())
