"""The node in-process beside a robot that publishes images and records what comes out."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

from lsm_perception.models import BackendLoader
from lsm_perception.node_executor import NodeExecutor
from lsm_perception.perception_node import PerceptionNode
from lsm_perception.publishers import TYPES
from lsm_perception.runtime import initial_queries
from rclpy.parameter import Parameter
from robot import FRAME, LATCHED, RELIABLE, Robot, camera_info, image_message
from synthetic_world import View
from waiting import wait_until

__all__ = ["FRAME", "LATCHED", "RELIABLE", "Harness", "camera_info", "image_message"]


class Harness(Robot):
    """A running node in this process, and the robot beside it."""

    def __init__(
        self,
        backend: Any,
        parameters: dict[str, Any] | None = None,
        listen: Sequence[str] = tuple(TYPES),
        namespace: str = "",
        camera: str = "",
        load: BackendLoader | None = None,
    ) -> None:
        """Start both.

        Args:
            backend: what the node gets whatever it asks for.
            parameters: of the node.
            listen: outputs to record.
            namespace: of node and robot.
            camera: of the robot.
            load: gives the node its backend instead.
        """
        given = {"odometry.max_wait_s": 0.05} | (parameters or {})
        overrides = [Parameter(name, value=value) for name, value in given.items()]
        self.backend = backend
        self.node = PerceptionNode(
            load or (lambda *_: backend), parameter_overrides=overrides, namespace=namespace or None
        )
        super().__init__(listen, namespace, camera=camera)
        self._node_stopped = threading.Event()
        self._node_executor = NodeExecutor()
        self._node_executor.add_node(self.node)
        self._node_thread = threading.Thread(
            target=self._node_executor.spin_until, args=(self._node_stopped.is_set,), daemon=True
        )
        self._node_thread.start()

    def close(self) -> None:
        """Stop everything."""
        if self.backend is not None:
            self.backend.release.set()
        self.node.stop()
        self._node_stopped.set()
        self._node_thread.join(timeout=5.0)
        self._node_executor.finish(2.0)
        if self.node.state_label not in ("unconfigured", "finalized"):
            self.node.trigger_shutdown()
        self.node.destroy_node()
        super().close()

    def renew(self) -> None:
        """Bring node, backend and records back to how they were at the start, for the next test."""
        runtime = self.node.runtime
        assert runtime is not None and self.node.state_label == "active"
        self.backend.release.set()
        self.settle()
        self.backend.calm()
        runtime.reset()
        runtime.set_queries(initial_queries(runtime.parameters))
        runtime.account.clear()
        runtime.timings.clear()
        for context in runtime.cameras.values():
            context.pipeline.clear_counts()
            context.stream.calibration.clear()
            context.gate._form = None
        time.sleep(0.2)  # what was sent before is still on its way
        self.forget()

    def wait_active(self) -> None:
        """Wait until the node is active and connected to the client's publishers."""
        assert wait_until(lambda: self.node.state_label == "active"), self.node.state_label
        assert wait_until(lambda: self.images.get_subscription_count() > 0)

    def wait_connected(self, *names: str) -> None:
        """Wait until the node sees the client's subscriptions."""
        runtime = self.node.runtime
        assert runtime is not None
        for name in names:
            assert wait_until(lambda name=name: runtime.publishers.wants(name)), name

    def settle(self, timeout_s: float = 20.0) -> None:
        """Wait until the node has decided on every image that reached it and the worker is idle."""
        runtime = self.node.runtime
        assert runtime is not None
        assert wait_until(lambda: runtime.account.counts().pending == 0, timeout_s)
        assert runtime.worker.wait_idle(timeout_s)

    def hold_inference(self, views: Sequence[View]) -> None:
        """Send views until one of them is inside the model, which waits there until `backend.release` is set."""
        self.backend.release.clear()
        self.backend.entered.clear()
        for view in views:
            self.send(view)
            if self.backend.entered.wait(1.0):
                return
        raise AssertionError("no view became a keyframe")

    def walk(self, views: Sequence[View], frame: str = FRAME) -> None:
        """Send views one at a time, each after the one before was decided."""
        runtime = self.node.runtime
        assert runtime is not None
        for view in views:
            before = runtime.account.counts().delivered
            self.send(view, frame)
            assert wait_until(lambda before=before: runtime.account.counts().delivered > before), view.stamp_ns
        self.settle()
