"""A node with two cameras in this process, and a robot that publishes both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from harness import Harness, camera_info, image_message
from lsm_perception.conversions.poses import transform_message
from lsm_perception.publishers import TYPES
from rig_views import TRUE_EXTRINSICS
from robot import Robot
from sensor_msgs.msg import CameraInfo, Image
from synthetic_world import View
from tf2_msgs.msg import TFMessage
from waiting import wait_until

from lsm_core.backends.base import Backend

LEFT, RIGHT = "left_optical_frame", "right_optical_frame"
HEARD = ("scale", "pair_pose", "points", "depth/image", "keyframes")


class RightCamera:
    """The second camera of a robot whose own one is `left`."""

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        self.images = robot.client.create_publisher(Image, "right/image", 10)
        self.infos = robot.client.create_publisher(CameraInfo, "right/camera_info", 10)

    def send(self, view: View, info: bool = True) -> None:
        """Publish a view."""
        if info:
            self.infos.publish(camera_info(view.stamp_ns, RIGHT))
        self.images.publish(image_message(view.rgb, view.stamp_ns, RIGHT))

    def send_extrinsics(self, T_left_right: np.ndarray | None = None) -> None:
        """Publish where it is, by default the truth."""
        T = TRUE_EXTRINSICS if T_left_right is None else T_left_right
        links = [transform_message(np.eye(4), "head", LEFT, 0), transform_message(T, LEFT, RIGHT, 0)]
        self._robot.tf_static.publish(TFMessage(transforms=links))


class RigHarness(Harness):
    """`left` is the primary; `right` is BASELINE_M to its right."""

    def __init__(
        self,
        backend: Backend,
        parameters: dict[str, Any] | None = None,
        listen: Sequence[str] = tuple(TYPES),
    ) -> None:
        given = {"pairing": "rig", "cameras": ["left", "right"], "keyframes.max_age_s": 0.25}
        super().__init__(backend, given | (parameters or {}), listen, camera="left")
        self.right = RightCamera(self)

    def wait_ready(self, *names: str) -> None:
        """Wait until the node listens to both cameras, and hears who listens to these outputs."""
        self.wait_active()
        assert wait_until(lambda: self.right.images.get_subscription_count() > 0)
        self.wait_connected(*names)

    def send_extrinsics(self, T_left_right: np.ndarray | None = None) -> None:
        """Publish where the right camera is and wait until the node knows."""
        self.right.send_extrinsics(T_left_right)
        rig = self.node.runtime.cameras["left"].rig  # type: ignore[union-attr]
        assert wait_until(lambda: rig.extrinsics(RIGHT, LEFT, 1) is not None)  # type: ignore[union-attr]

    def feed(self, left: Sequence[View], right: Sequence[View | None]) -> None:
        """Send both cameras' views one time after the other, each after the node is done with the one before."""
        runtime = self.node.runtime
        assert runtime is not None
        second = runtime.cameras["left"].rig.images  # type: ignore[union-attr]
        for a, b in zip(left, right, strict=True):
            if b is not None:
                self.right.send(b)
                assert wait_until(lambda b=b: any(w.stamp_ns == b.stamp_ns for w in second._images))
            self.expect(1, lambda a=a: self.send(a, LEFT))
            assert runtime.worker.wait_idle(20.0)

    def pairs(self) -> list[Any]:
        """Return every pair_pose, once all that the node judged were heard."""
        pipeline = self.node.runtime.cameras["left"].pipeline  # type: ignore[union-attr]
        assert wait_until(lambda: len(self.messages("pair_pose")) >= pipeline.counts().pairs)
        return self.messages("pair_pose")

    def expect(self, count: int, send: Any) -> None:
        """Send something and wait until that many images have reached the node."""
        runtime = self.node.runtime
        assert runtime is not None

        def received() -> int:
            counts = runtime.account.counts()
            return counts.delivered + counts.pending

        before = received()
        send()
        assert wait_until(lambda: received() >= before + count)
