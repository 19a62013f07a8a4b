"""The executor of the process: spins until told to stop, and knows when the last callback has ended."""

from __future__ import annotations

import logging
from collections.abc import Callable

from rclpy.exceptions import InvalidHandle
from rclpy.executors import ExternalShutdownException, ShutdownException

from lsm_perception.pool_executor import PoolExecutor
from lsm_perception.symptoms import Symptom, see

THREADS = 8
SPIN_S = 0.2

logger = logging.getLogger(__name__)


class NodeExecutor(PoolExecutor):
    """Runs callbacks in threads until told to stop; entities may come and go meanwhile."""

    def __init__(self) -> None:
        super().__init__(num_threads=THREADS)

    def spin_until(self, done: Callable[[], bool]) -> None:
        """Spin until `done` or until ROS is shut down."""
        while not done():
            try:
                self.spin_once(timeout_sec=SPIN_S)
            except (ExternalShutdownException, ShutdownException):
                return
            except InvalidHandle as error:
                # A transition destroyed an entity while this loop was looking at it; the next look is a fresh one.
                logger.debug("An entity was destroyed while the executor looked at it: %s", error)
            except Exception:
                if not done():
                    logger.exception(see("The executor stumbled; the node goes on.", Symptom.INTERNAL_ERRORS))

    def finish(self, timeout_s: float) -> bool:
        """Run no more callbacks and wait for those in work; False when one did not end in time."""
        self.shutdown(timeout_sec=0.0)
        # rclpy's shutdown means to wait for them, but marks itself as shut down first and then sees no need.
        return bool(self._work_tracker.wait(timeout_s))
