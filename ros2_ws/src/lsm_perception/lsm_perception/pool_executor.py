"""An executor that hands each callback to its threads once, and sleeps while they are busy."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup, MutuallyExclusiveCallbackGroup
from rclpy.exceptions import InvalidHandle
from rclpy.executors import (
    ConditionReachedException,
    ExternalShutdownException,
    MultiThreadedExecutor,
    ShutdownException,
    TimeoutException,
)

from lsm_perception.symptoms import Symptom, see

logger = logging.getLogger(__name__)


class PoolExecutor(MultiThreadedExecutor):
    """rclpy's MultiThreadedExecutor without its busy loop.

    Jazzy's class offers a task again and again until a thread has begun it (ros2/rclpy issue 1452). While the
    threads wait for the interpreter lock, the spinning thread holds that lock and fills its list of futures; a
    model that gives up the lock at each of its thousand operations then waits five milliseconds for every one, and
    stands still for seconds. Here a task leaves the list of those on offer when a thread gets it, and what shares
    an exclusive group with it leaves the wait set: Fast DDS ends a wait for an event of a topic also because of a
    message there, which only the task will take.
    """

    def __init__(self, num_threads: int) -> None:
        super().__init__(num_threads=num_threads)
        self._due: Counter[CallbackGroup] = Counter()  # exclusive groups of tasks that no thread has begun
        self._due_lock = threading.Lock()

    def can_execute(self, entity: Any) -> bool:
        """Whether to wait for an entity now."""
        with self._due_lock:
            due = entity.callback_group in self._due
        return not due and bool(super().can_execute(entity))

    def _spin_once_impl(self, timeout_sec: Any = None, wait_condition: Callable[[], bool] = lambda: False) -> None:
        if not hasattr(self, "_tasks"):  # a later rclpy, where tasks are offered once
            super()._spin_once_impl(timeout_sec, wait_condition)
            return
        try:
            offered: Any = self.wait_for_ready_callbacks(timeout_sec, None, wait_condition)
        except (ExternalShutdownException, ShutdownException, TimeoutException, ConditionReachedException):
            return
        with self._tasks_lock:
            self._tasks = [entry for entry in self._tasks if entry[0] is not offered[0]]
        self._note_due(offered[1], 1)
        self._executor.submit(self._run, offered)

    def _run(self, offered: tuple[Any, Any, Any]) -> None:
        """Run a callback (task, entity, node) in a thread of the pool; what it raises is logged."""
        task = offered[0]
        self._note_due(offered[1], -1)
        task()
        if not task.done():  # a coroutine that waits for something is offered again
            with self._tasks_lock:
                self._tasks.append(offered)
            self.wake()
            return
        error = task.exception()
        if isinstance(error, InvalidHandle):
            logger.debug("A callback was due for an entity that has been destroyed meanwhile.")
        elif error is not None:
            line = see("A callback failed; the node goes on.", Symptom.INTERNAL_ERRORS)
            logger.error(line, exc_info=error)

    def _note_due(self, entity: Any, change: int) -> None:
        group = getattr(entity, "callback_group", None)
        if not isinstance(group, MutuallyExclusiveCallbackGroup):
            return
        with self._due_lock:
            self._due[group] += change
            if self._due[group] <= 0:
                del self._due[group]
