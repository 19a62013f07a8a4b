"""Is the node alive and at work? `python -m lsm_perception.healthcheck [NODE] [--states active,inactive]`.

Asks the node's lifecycle service, as Docker's HEALTHCHECK or a supervisor wants it: exit code 0 when it answers
with one of the states, 1 otherwise, with one line that says why. A process whose executor hangs fails too.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import rclpy
from lifecycle_msgs.srv import GetState
from rclpy.node import Node

from lsm_perception.interface import NODE, PROBE

TIMEOUT_S = 5.0
HEALTHY = ("active",)


def state_of(asker: Node, node: str, timeout_s: float = TIMEOUT_S) -> str | None:
    """Return the lifecycle state of a node, None when it does not answer.

    Args:
        asker: a node that nobody spins; its namespace is where a relative name is looked for.
        node: name of the node asked.
        timeout_s: for finding it, and again for its answer.
    """
    client = asker.create_client(GetState, f"{node}/get_state")
    try:
        if not client.wait_for_service(timeout_s):
            return None
        future = client.call_async(GetState.Request())
        rclpy.spin_until_future_complete(asker, future, timeout_sec=timeout_s)
        reply = future.result() if future.done() else None
        return None if reply is None else str(reply.current_state.label)
    finally:
        asker.destroy_client(client)


def main(words: Sequence[str] | None = None) -> int:
    """Ask, print one line, return 0 for healthy and 1 for not."""
    parser = argparse.ArgumentParser(prog="healthcheck", description="Ask the node for its lifecycle state.")
    default = f"/{os.environ.get('LSM_NAMESPACE', '').strip('/')}/{NODE}".replace("//", "/")
    parser.add_argument("node", nargs="?", default=default, help=f"default: {NODE} in $LSM_NAMESPACE")
    parser.add_argument("--states", default=",".join(HEALTHY), help="comma-separated states that count as healthy")
    parser.add_argument("--timeout", type=float, default=TIMEOUT_S, metavar="S", help=f"default: {TIMEOUT_S:g}")
    given = parser.parse_args(words)
    rclpy.init(args=[])
    asker = Node(PROBE, start_parameter_services=False, enable_rosout=False)
    try:
        state = state_of(asker, given.node, given.timeout)
    finally:
        asker.destroy_node()
        rclpy.try_shutdown()
    if state is None:
        print(f"{given.node} does not answer within {given.timeout:g} s.")
        return 1
    healthy = state in given.states.split(",")
    print(f"{given.node} is {state}.")
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main())
