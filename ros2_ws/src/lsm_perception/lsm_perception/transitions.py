"""One lifecycle transition at a time, and a reply to every request for one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode

from lsm_perception.symptoms import Symptom, see


class Transitions:
    """The turn that whoever changes a node's state takes: the supervisor, autostart, a fault, the end."""

    def __init__(self, node: LifecycleNode) -> None:
        """Let requests over ~/change_state take turns, too."""
        self._node = node
        self._turn = threading.RLock()
        self._closed = False
        # rclpy has no hook here; its own answer leaves a request that is impossible in this state without a reply.
        service = node._service_change_state
        self._change_state = service.callback
        service.callback = self._answer

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Wait for the turn; gives False when the node is ending and nothing may begin any more."""
        with self._turn:
            yield not self._closed

    def try_turn(self) -> bool:
        """Take the turn if nobody has it; `release` gives it back."""
        return self._turn.acquire(blocking=False)

    def release(self) -> None:
        """Give back what `try_turn` took."""
        self._turn.release()

    def close(self, timeout_s: float) -> bool:
        """Let no more transitions begin; False when the one that runs does not end in time."""
        self._closed = True
        if not self._turn.acquire(timeout=timeout_s):
            return False
        self._turn.release()
        return True

    def _answer(self, request: ChangeState.Request, response: Any) -> Any:
        with self.turn() as open_:
            try:
                if open_:
                    return self._change_state(request, response)
            except Exception as error:
                state = self._node._state_machine.current_state[1]
                wanted = request.transition.label or request.transition.id
                line = f"Transition {wanted} is refused in state {state}: {error}. Fix: ask for the state first."
                self._node.get_logger().warning(see(line, Symptom.LIFECYCLE))
        response.success = False
        return response
