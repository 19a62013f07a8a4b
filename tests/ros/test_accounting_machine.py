"""Whatever comes in whatever order: every image given to a callback is decided once, and the account adds up.

A state machine of Hypothesis deals with the node's own parts (stream, gate, worker, pipeline) in this process; its
image callbacks are called as the executor would. It counts the calls itself, and compares after every step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

import rclpy
from fake_backend import FakeBackend
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from lsm_perception.perception_node import PerceptionNode
from lsm_perception.runtime import Runtime
from rclpy.parameter import Parameter
from robot import FRAME, camera_info, image_message
from sensor_msgs.msg import Image
from synthetic_world import View, walk

from lsm_core.errors import DeviceError

VIEWS = walk(30)
STEP_NS = 100_000_001
MALFORMED: dict[str, dict[str, Any]] = {
    "short": {"data": [0] * 100},
    "huge": {"width": 2**32 - 1, "height": 2**32 - 1, "step": 2**32 - 1},
    "encoding": {"encoding": "rgb9"},
}
PARAMETERS: dict[str, list[Any]] = {
    "keyframes.min_interval_s": [0.0, 0.1, 0.5],
    "keyframes.retries": [0, 1, 3],
    "input.jump_back_s": [0.5, 2.0],
    "pose_gate.two_view_check": [True, False],
    "queries.texts": [["wall"], ["wall", "door"], [""]],
}


class Images(RuleBasedStateMachine):
    """Good, bad, late and burst images among resets, deactivations, failures and changed parameters."""

    node: PerceptionNode
    backend: FakeBackend

    @initialize()
    def begin(self) -> None:
        self.called = 0
        self.position = 0
        self.stamp_ns = VIEWS[0].stamp_ns
        self.backend.calm()
        self.backend.release.set()
        if not self.runtime.active:
            self.runtime.start()
        self.runtime.reset()
        assert wait_until(lambda: self.runtime.account.counts().pending == 0, 30.0)
        self.runtime.account.clear()

    @property
    def runtime(self) -> Runtime:
        assert self.node.runtime is not None
        return self.node.runtime

    def take(self, message: Image) -> None:
        """Call the image callback, as the executor does."""
        self.called += 1
        self.runtime.cameras[""].stream.on_image(message)

    def view(self, frame: str = FRAME) -> Image:
        """Return the next good image."""
        self.position = (self.position + 1) % (2 * len(VIEWS))
        view: View = VIEWS[min(self.position, 2 * len(VIEWS) - 1 - self.position)]
        self.stamp_ns += STEP_NS
        return image_message(view.rgb, self.stamp_ns, frame)

    @rule(count=st.integers(1, 6))
    def walk_on(self, count: int) -> None:
        for _ in range(count):
            self.take(self.view())

    @rule()
    def wait_for_the_worker(self) -> None:
        if self.backend.release.is_set():
            assert self.runtime.worker.wait_idle(30.0)

    @rule(kind=st.sampled_from(sorted(MALFORMED)))
    def malformed(self, kind: str) -> None:
        message = self.view()
        for name, value in MALFORMED[kind].items():
            setattr(message, name, value)
        self.take(message)

    @rule(value=st.sampled_from([0, 255]))
    def without_detail(self, value: int) -> None:
        self.stamp_ns += STEP_NS
        self.take(image_message(np.full_like(VIEWS[0].rgb, value), self.stamp_ns))

    @rule(back_ns=st.sampled_from([0, 1, 300_000_000, 60_000_000_000]))
    def stamp_not_newer(self, back_ns: int) -> None:
        message = self.view()
        self.stamp_ns = self.stamp_ns - STEP_NS - back_ns
        self.take(image_message(VIEWS[5].rgb, self.stamp_ns) if back_ns > 1e9 else message)

    @rule()
    def zero_stamp(self) -> None:
        self.take(image_message(VIEWS[0].rgb, 0))

    @rule()
    def another_frame(self) -> None:
        self.take(self.view("another_frame"))

    @rule(changes=st.sampled_from([{}, {"k": [0.0] * 9}, {"distortion_model": "equidistant", "d": [0.1] * 4}]))
    def calibration(self, changes: dict[str, Any]) -> None:
        self.runtime.cameras[""].stream.on_camera_info(camera_info(self.stamp_ns, **changes))

    @rule(error=st.sampled_from([None, DeviceError("gone"), RuntimeError("boom"), MemoryError()]))
    def model_fails(self, error: Exception | None) -> None:
        self.backend.fail = error

    @rule(part=st.sampled_from(["", "encoded", "pointmap 1", "pose", "validity"]))
    def model_is_not_finite(self, part: str) -> None:
        self.backend.poison = part

    @rule()
    def hold_the_model(self) -> None:
        self.backend.release.clear()

    @rule()
    def release_the_model(self) -> None:
        self.backend.release.set()

    @rule()
    def reset(self) -> None:
        self.runtime.reset()

    @rule()
    def capture(self) -> None:
        self.runtime.cameras[""].gate.request_capture()

    @precondition(lambda self: self.runtime.active)
    @rule()
    def deactivate(self) -> None:
        self.runtime.stop(0.05)

    @precondition(lambda self: not self.runtime.active)
    @rule()
    def activate(self) -> None:
        self.runtime.start()

    @rule(name=st.sampled_from(sorted(PARAMETERS)), choice=st.integers(0, 2))
    def set_parameter(self, name: str, choice: int) -> None:
        values = PARAMETERS[name]
        (result,) = self.node.set_parameters([Parameter(name, value=values[choice % len(values)])])
        assert result.successful, result.reason

    @invariant()
    def the_account_adds_up(self) -> None:
        if not hasattr(self, "called"):
            return
        counts = self.runtime.account.counts()
        assert counts.delivered == counts.used + sum(counts.dropped.values())
        assert counts.delivered + counts.pending == self.called
        assert counts.pending <= 2  # one in work, one in line

    def teardown(self) -> None:
        if not hasattr(self, "called"):
            return
        self.backend.release.set()
        assert self.runtime.worker.wait_idle(30.0) or not self.runtime.active
        assert wait_until(lambda: self.runtime.account.counts().pending == 0, 30.0)
        self.the_account_adds_up()


def test_every_image_is_decided_once_whatever_happens(rclpy_session: None) -> None:
    backend = FakeBackend(VIEWS)
    overrides = [Parameter("autostart", value=False), Parameter("odometry.source", value="none")]
    node = PerceptionNode(lambda *_: backend, parameter_overrides=overrides)
    Images.node, Images.backend = node, backend
    try:
        node.trigger_configure()
        node.trigger_activate()
        limits = settings(
            max_examples=15, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        )
        run_state_machine_as_test(Images, settings=limits)
    finally:
        backend.release.set()
        node.trigger_deactivate()
        node.trigger_cleanup()
        node.destroy_node()
        assert rclpy.ok()
