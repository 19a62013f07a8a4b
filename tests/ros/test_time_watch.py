"""The watch over the clock: which jumps are new, when it stands still, and what a jump makes the node forget."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from cv_bridge import CvBridge
from fake_backend import FakeBackend
from harness import FRAME, Harness
from lsm_perception.conversions import stamp_from_ns
from lsm_perception.time_watch import SAME_JUMP_S, STANDING_S, ClockState, TimeWatch
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from synthetic_world import View, walk

SECOND = 1_000_000_000
START = 1_600_000_000 * SECOND


class Bench:
    """A watch over a clock that the test drives, in a real time that the test makes."""

    def __init__(self, use_sim_time: bool = True) -> None:
        overrides = [Parameter("use_sim_time", value=use_sim_time)]
        self.node = Node("watched", parameter_overrides=overrides)
        self.jumps: list[str] = []
        self.real_s = 100.0
        self.watch = TimeWatch(self.node, self.jumps.append, lambda: self.real_s)

    def clock(self, ns: int) -> None:
        """Let /clock come."""
        self.node.get_clock().set_ros_time_override(Time(nanoseconds=ns))  # type: ignore[attr-defined]

    def tick(self, real_s: float) -> ClockState:
        """Let real time pass and look."""
        self.real_s += real_s
        self.watch.tick()
        return self.watch.state


@pytest.fixture
def bench(rclpy_session: None) -> Iterator[Bench]:
    out = Bench()
    yield out
    out.watch.stop()
    out.node.destroy_node()


def test_the_clock_jumps_back_once_and_forward_never(bench: Bench) -> None:
    bench.watch.start(1.0)
    bench.clock(START)
    bench.clock(START + 500 * SECOND)
    bench.clock(START + 500 * SECOND - SECOND // 2)  # a jitter
    assert bench.jumps == []
    bench.clock(START)
    assert len(bench.jumps) == 1 and "499.5 s" in bench.jumps[0]
    bench.watch.stop()
    bench.real_s += 100
    bench.clock(START - 500 * SECOND)
    assert len(bench.jumps) == 1


def test_what_images_and_clock_tell_of_one_jump_is_one(bench: Bench) -> None:
    bench.watch.start(1.0)
    bench.clock(START + 100 * SECOND)
    bench.clock(START)
    assert len(bench.jumps) == 1 and not bench.watch.is_new()
    bench.real_s += SAME_JUMP_S + 0.1
    assert bench.watch.is_new()  # the images of the next one
    bench.clock(START - 100 * SECOND)
    assert len(bench.jumps) == 1


def test_another_clock_is_a_jump(bench: Bench) -> None:
    bench.watch.start(1.0)
    bench.node.set_parameters([Parameter("use_sim_time", value=False)])
    assert bench.jumps == ["another clock"]


def test_a_clock_that_stands_still_is_noticed_and_so_is_its_return(bench: Bench) -> None:
    assert bench.tick(10) is ClockState.UNSET
    bench.clock(START)
    assert bench.tick(1) is ClockState.RUNNING
    assert bench.tick(STANDING_S - 0.5) is ClockState.RUNNING
    assert bench.tick(1) is ClockState.STANDING
    bench.clock(START)  # the same time again and again is no progress
    assert bench.tick(1) is ClockState.STANDING and bench.watch.resumed_s == float("-inf")
    bench.clock(START + 1)
    assert bench.tick(1) is ClockState.RUNNING and bench.watch.resumed_s == bench.real_s


def test_the_machines_clock_never_stands_still(rclpy_session: None) -> None:
    bench = Bench(use_sim_time=False)
    assert {bench.tick(10) for _ in range(3)} == {ClockState.SYSTEM}
    bench.node.destroy_node()


def test_a_jump_of_the_clock_forgets_all_that_has_a_stamp(rclpy_session: None) -> None:
    views = walk(10)
    harness = Harness(FakeBackend(views), listen=("keyframes",))
    try:
        harness.wait_active()
        runtime = harness.node.runtime
        assert runtime is not None
        context = runtime.cameras[""]
        harness.send_odometry(views)
        harness.walk(views)
        fill(harness, views[-1])
        assert remembered(harness, views[-1]) == {"keyframes", "odometry", "depth", "mask"}
        runtime._clock_jumped("time jumped back by 9.0 s")
        assert remembered(harness, views[-1]) == set()
        assert context.gate._selector.reference_stamp_ns is None and context.mapper.partner()[0] is None
        assert runtime.odometry._buffer.can_transform("base_link", FRAME, Time())  # static ones stay
    finally:
        harness.close()


def fill(harness: Harness, view: View) -> None:
    """Give depth and mask images of a view."""
    runtime = harness.node.runtime
    assert runtime is not None
    stream = runtime.cameras[""].stream
    stream.on_depth(picture(view.depth, "32FC1", view.stamp_ns))
    stream.on_mask(picture(np.zeros(view.depth.shape, np.uint8), "mono8", view.stamp_ns))
    assert wait_until(lambda: runtime.odometry.pose(FRAME, view.stamp_ns) is not None)


def remembered(harness: Harness, view: View) -> set[str]:
    """Return what the node still has of a view's time."""
    runtime = harness.node.runtime
    assert runtime is not None
    context = runtime.cameras[""]
    height, width = view.depth.shape
    found = {
        "keyframes": context.mapper.latest() is not None,
        "odometry": runtime.odometry.pose(FRAME, view.stamp_ns) is not None,
        "depth": context.stream.depth.at(view.stamp_ns, width, height) is not None,
        "mask": len(context.stream.masks._messages) > 0,
    }
    return {name for name, there in found.items() if there}


def picture(array: np.ndarray, encoding: str, stamp_ns: int) -> Image:
    message: Image = CvBridge().cv2_to_imgmsg(np.ascontiguousarray(array), encoding=encoding)
    message.header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=FRAME)
    return message
