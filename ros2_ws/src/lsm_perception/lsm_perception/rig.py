"""The second camera of a rig, wired: its subscriptions, its waiting images, and the pairs they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.clock import Clock
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import Buffer, TransformException

from lsm_core.backends.base import Backend
from lsm_core.errors import InputError, UnsupportedError
from lsm_perception.accounting import Account
from lsm_perception.camera_stream import CameraStream, StreamHooks
from lsm_perception.conversions.poses import matrix_from_transform
from lsm_perception.parameters import NodeParameters
from lsm_perception.products import Candidate, Matrix
from lsm_perception.rig_gate import SecondGate
from lsm_perception.rig_images import PrimaryQueue, SecondImages
from lsm_perception.rig_pair import RigPairer
from lsm_perception.timings import Timings
from lsm_perception.topic_events import TopicEvents
from lsm_perception.worker import Worker


class Rig:
    """Everything of the second camera; the primary has the map and the outputs."""

    def __init__(
        self,
        camera: str,
        parameters: NodeParameters,
        backend: Backend,
        buffer: Buffer,
        account: Account,
        timings: Timings,
        hooks: StreamHooks,
        clock: Clock,
    ) -> None:
        limits = parameters.rig
        self._buffer = buffer
        self._wait_s = limits.max_wait_s
        self._gate = SecondGate(parameters)
        self.images = SecondImages(limits.max_sync_s, limits.max_wait_s)
        self.stream = CameraStream(
            camera, parameters, account, self._gate, self.images, timings, hooks, clock, image_only=True
        )
        self.pairer = RigPairer(backend, self.images, self.extrinsics, hooks.problem, parameters)

    def queue(self, worker: Worker[Candidate]) -> PrimaryQueue:
        """Return what the primary's stream hands its candidates to."""
        return PrimaryQueue(worker, self.images)

    def configure(self, parameters: NodeParameters) -> None:
        """Take new limits."""
        self.stream.configure(parameters)
        self.pairer.configure(parameters)

    def subscribe(self, node: Node, events: TopicEvents) -> None:
        """Start listening."""
        self.images.start()
        self.stream.subscribe(node, events)

    def unsubscribe(self) -> None:
        """Stop listening."""
        self.stream.unsubscribe()
        self.images.stop()

    def reset(self, clock_ns: Callable[[], int] | None = None) -> None:
        """Forget the images that wait; after a jump of the clock the stamp of the next one must fit that."""
        self._gate.reset(clock_ns)
        self.images.reset()

    def extrinsics(self, second_frame: str, primary_frame: str, stamp_ns: int) -> Matrix | None:
        """Return T_second_primary [4, 4] in metres by tf at a stamp, None where tf does not know it."""
        if not second_frame or not primary_frame or second_frame == primary_frame:
            return None
        try:
            # Waiting helps only where the frames are joined at all.
            joined = self._buffer.can_transform(second_frame, primary_frame, Time())
            wait = Duration(seconds=self._wait_s if joined else 0.0)
            found = self._buffer.lookup_transform(second_frame, primary_frame, Time(nanoseconds=stamp_ns), wait)
            return matrix_from_transform(found.transform)
        except (TransformException, InputError):
            return None


def rig_cameras(cameras: Sequence[str]) -> tuple[str, str]:
    """Return the primary and the second camera of a rig.

    Raises:
        UnsupportedError: there are not two names.
    """
    if len(cameras) != 2 or "" in cameras or cameras[0] == cameras[1]:
        raise UnsupportedError(
            f"pairing 'rig' needs two cameras, but `cameras` names {list(cameras)}.",
            "Set cameras to two names, the primary first.",
        )
    return cameras[0], cameras[1]
