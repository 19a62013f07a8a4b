"""`Buffer`: the transforms a node has heard."""

import time as wall
from collections.abc import Callable
from typing import Any

import rclpy.logging
from builtin_interfaces.msg import Time as TimeMsg
from geometry_msgs.msg import TransformStamped
from rclpy.clock import Clock, JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.task import Future
from rclpy.time import Time
from tf2_msgs.srv import FrameGraph

from tf2_ros.buffer_core import BufferCore
from tf2_ros.exceptions import TransformException
from tf2_ros.rigid import Rigid

_DEFAULT_CACHE_NS = 10_000_000_000
_NO_WAIT = Duration()


class Buffer(BufferCore):
    """Stores transforms and looks them up; filled by `TransformListener` or `set_transform`.

    A lookup with a timeout waits, in wall time, until the transform arrives; the node must be spun by
    another thread meanwhile.
    """

    def __init__(self, cache_time: Duration | None = None, node: Node | None = None) -> None:
        """Make a buffer.

        Args:
            cache_time: How long transforms are kept; 10 s by default.
            node: Node to serve `tf2_frames` on; its clock's jumps backwards empty the buffer.
        """
        super().__init__(_DEFAULT_CACHE_NS if cache_time is None else cache_time.nanoseconds)
        self._waiting: list[Callable[[], None]] = []
        clock = Clock() if node is None else node.get_clock()
        if node is not None:
            self.srv = node.create_service(FrameGraph, "tf2_frames", self._serve_frames)
        threshold = JumpThreshold(min_forward=None, min_backward=Duration(seconds=-1), on_clock_change=True)
        self.jump_handle = clock.create_jump_callback(threshold, post_callback=self.time_jump_callback)

    def time_jump_callback(self, time_jump: TimeJump) -> None:
        """Empty the buffer: the stamps before the jump are of another time."""
        rclpy.logging.get_logger("tf2_buffer").warning("Detected jump back in time. Clearing tf buffer.")
        self.clear()

    def set_transform(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform that holds at its stamp."""
        self.insert(transform, authority, static=False)
        self._call_waiting()

    def set_transform_static(self, transform: TransformStamped, authority: str) -> None:
        """Store a transform that holds at all times."""
        self.insert(transform, authority, static=True)
        self._call_waiting()

    def lookup_transform(
        self, target_frame: str, source_frame: str, time: Time, timeout: Duration = _NO_WAIT
    ) -> TransformStamped:
        """Return the transform that takes points of `source_frame` into `target_frame`.

        Args:
            target_frame: Frame to express things in.
            source_frame: Frame things are in now.
            time: When; zero for the latest time at which it is known.
            timeout: How long to wait for it.

        Raises:
            InvalidArgumentException, LookupException, ConnectivityException, ExtrapolationException:
                As of the end of the timeout.
        """
        time_ns = _nanoseconds(time)
        return self._wait(lambda: self._stamped(target_frame, source_frame, time_ns), timeout)

    def lookup_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = _NO_WAIT,
    ) -> TransformStamped:
        """Return the transform from `source_frame` at one time into `target_frame` at another.

        Args:
            target_frame: Frame to express things in.
            target_time: When that frame is taken.
            source_frame: Frame things are in now.
            source_time: When that frame is taken.
            fixed_frame: The frame taken not to move between the two times.
            timeout: How long to wait for it.

        Raises:
            The same as `lookup_transform`.
        """
        target_ns, source_ns = _nanoseconds(target_time), _nanoseconds(source_time)

        def attempt() -> TransformStamped:
            into_fixed, _ = self.lookup(fixed_frame, source_frame, source_ns)
            out_of_fixed, stamp_ns = self.lookup(target_frame, fixed_frame, target_ns)
            return _message(out_of_fixed @ into_fixed, target_frame, source_frame, stamp_ns)

        return self._wait(attempt, timeout)

    def can_transform(
        self,
        target_frame: str,
        source_frame: str,
        time: Time,
        timeout: Duration = _NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Tell whether `lookup_transform` would succeed; with `return_debug_tuple` also why not."""
        return _succeeds(
            lambda: self.lookup_transform(target_frame, source_frame, time, timeout), return_debug_tuple
        )

    def can_transform_full(
        self,
        target_frame: str,
        target_time: Time,
        source_frame: str,
        source_time: Time,
        fixed_frame: str,
        timeout: Duration = _NO_WAIT,
        return_debug_tuple: bool = False,
    ) -> bool | tuple[bool, str]:
        """Tell whether `lookup_transform_full` would succeed; with `return_debug_tuple` also why not."""
        return _succeeds(
            lambda: self.lookup_transform_full(
                target_frame, target_time, source_frame, source_time, fixed_frame, timeout
            ),
            return_debug_tuple,
        )

    def wait_for_transform_async(self, target_frame: str, source_frame: str, time: Time) -> Future:
        """Return a future that is set to True once the transform is known."""
        future: Future = Future()

        def check() -> None:
            if future.done() or future.cancelled():
                self._waiting.remove(check)
            elif self.can_transform(target_frame, source_frame, time):
                self._waiting.remove(check)
                future.set_result(True)

        with self._changed:
            self._waiting.append(check)
            check()
        return future

    def all_frames_as_yaml(self) -> str:
        """Return the tree as YAML, one mapping per frame."""
        return self.frames_as_yaml()

    def _stamped(self, target: str, source: str, time_ns: int) -> TransformStamped:
        pose, stamp_ns = self.lookup(target, source, time_ns)
        return _message(pose, target, source, stamp_ns)

    def _wait(self, attempt: Callable[[], TransformStamped], timeout: Duration) -> TransformStamped:
        """Try until it works or the time is up, waking at each new transform."""
        deadline = wall.monotonic() + timeout.nanoseconds / 1e9
        with self._changed:
            while True:
                try:
                    return attempt()
                except TransformException:
                    left = deadline - wall.monotonic()
                    if left <= 0.0:
                        raise
                    self._changed.wait(left)

    def _call_waiting(self) -> None:
        with self._changed:
            for check in list(self._waiting):
                check()

    def _serve_frames(self, request: FrameGraph.Request, response: FrameGraph.Response) -> FrameGraph.Response:
        response.frame_yaml = self.frames_as_yaml()
        return response


def _nanoseconds(time: Any) -> int:
    """Return the nanoseconds of an rclpy time or of a time message.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(time, TimeMsg):
        return int(time.sec) * 1_000_000_000 + int(time.nanosec)
    if not hasattr(time, "nanoseconds"):
        raise TypeError(f"a time is wanted, not {type(time).__name__}")
    return int(time.nanoseconds)


def _message(pose: Rigid, target: str, source: str, stamp_ns: int) -> TransformStamped:
    """Write the answer of a lookup as a message."""
    msg = TransformStamped()
    msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(stamp_ns, 1_000_000_000)
    msg.header.frame_id, msg.child_frame_id = target, source
    msg.transform = pose.to_msg()
    return msg


def _succeeds(lookup: Callable[[], TransformStamped], with_reason: bool) -> bool | tuple[bool, str]:
    """Turn a lookup into a yes or a no."""
    try:
        lookup()
    except TransformException as error:
        return (False, str(error)) if with_reason else False
    return (True, "") if with_reason else True
