"""A lifecycle supervisor as the node sees it: asks for transitions and states over DDS."""

from __future__ import annotations

import threading
from typing import Any

from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from waiting import wait_until

CONFIGURE = Transition.TRANSITION_CONFIGURE
ACTIVATE = Transition.TRANSITION_ACTIVATE
DEACTIVATE = Transition.TRANSITION_DEACTIVATE
CLEANUP = Transition.TRANSITION_CLEANUP
ROUND = (CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP)
SHUTDOWN = {
    "unconfigured": Transition.TRANSITION_UNCONFIGURED_SHUTDOWN,
    "inactive": Transition.TRANSITION_INACTIVE_SHUTDOWN,
    "active": Transition.TRANSITION_ACTIVE_SHUTDOWN,
}


class Supervisor:
    """A client of one node's lifecycle services, spun in a thread of its own."""

    def __init__(self, node_name: str = "/lsm_perception", name: str = "supervisor") -> None:
        self._node = Node(name)
        self._change = self._node.create_client(ChangeState, f"{node_name}/change_state")
        self._state = self._node.create_client(GetState, f"{node_name}/get_state")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop asking."""
        self._executor.shutdown(timeout_sec=2.0)
        self._thread.join(timeout=5.0)
        self._node.destroy_node()

    def wait_for_node(self, timeout_s: float = 60.0, in_transition: bool = False) -> None:
        """Wait until the node's lifecycle services are there and their replies arrive here.

        Args:
            timeout_s: longest wait.
            in_transition: a transition runs now; do not wait for its end.
        """
        assert wait_until(lambda: self._change.service_is_ready() and self._state.service_is_ready(), timeout_s)
        # A service is seen before it sees its client, and until then replies are lost.
        nothing = ChangeState.Request(transition=Transition(label="nothing"))
        calls = [(self._state, GetState.Request()), (self._change, nothing)]
        for client, request in calls[:1] if in_transition else calls:
            assert wait_until(lambda c=client, r=request: wait_until(c.call_async(r).done, 1.0), timeout_s)

    def ask(self, transition: int) -> Any:
        """Ask for a transition and return the future of the reply."""
        return self._change.call_async(ChangeState.Request(transition=Transition(id=transition)))

    def change(self, transition: int, timeout_s: float = 60.0) -> bool:
        """Ask for a transition and return whether the node made it."""
        future = self.ask(transition)
        assert wait_until(future.done, timeout_s), f"no reply to transition {transition}"
        return bool(future.result().success)

    def state(self, timeout_s: float = 60.0) -> str:
        """Return the node's state."""
        future = self._state.call_async(GetState.Request())
        assert wait_until(future.done, timeout_s), "no reply to get_state"
        return str(future.result().current_state.label)

    def wait_for_state(self, label: str, timeout_s: float = 60.0) -> None:
        """Wait until the node is in a state."""
        assert wait_until(lambda: self.state() == label, timeout_s), f"{self.state()}, not {label}"
