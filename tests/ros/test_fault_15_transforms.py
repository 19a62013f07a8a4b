"""Fault 15, tf: missing, late, looping, in pieces or broken. The node goes on without metres and says why."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from geometry_msgs.msg import TransformStamped
from lsm_perception.conversions.poses import transform_message
from lsm_perception_msgs.msg import PairPose, Scale
from node_process import ACTIVE, StubProcess
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from robot import Robot
from synthetic_world import View
from tf2_msgs.msg import TFMessage
from walker import Walker

LISTEN = ("keyframes", "pair_pose", "points", "scale", "diagnostics", "depth/image", "detections")
METRIC_HERE = ("points", "depth/image", "detections")  # metric when they are in the image's own frame
LONG_WAIT_S = 3.0
frame_numbers = itertools.count()


@pytest.fixture(scope="module")
def stub(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    folder = tmp_path_factory.mktemp("stub")
    process = StubProcess(folder, {"odometry.source": "tf", "odometry.max_wait_s": LONG_WAIT_S})
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robot(rclpy_session: None) -> Iterator[Robot]:
    client = Robot(LISTEN)
    yield client
    client.close()


@pytest.fixture(scope="module")
def walker(stub: StubProcess, robot: Robot, stub_views: list[View]) -> Walker:
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    robot.send_odometry([])
    return Walker(robot, stub_views)


def shift(parent: str, child: str, stamp_ns: int, quaternion: tuple[float, ...] = ()) -> TransformStamped:
    """Return a transform; with a quaternion xyzw of any kind where one is given."""
    message = transform_message(np.eye(4), parent, child, stamp_ns)
    if quaternion:
        r = message.transform.rotation
        r.x, r.y, r.z, r.w = quaternion
    return message


def new_frame() -> str:
    """Return an image frame that nobody has heard of; images of it start a new map."""
    return f"camera_{next(frame_numbers)}"


def reasons(robot: Robot) -> str:
    """Return all that diagnostics have said."""
    said = [status for message in robot.messages("diagnostics") for status in message.status]
    return " ".join(f"{status.message} {' '.join(v.value for v in status.values)}" for status in said)


def walk_without_metres(
    stub: StubProcess,
    robot: Robot,
    walker: Walker,
    frame: str,
    reason: str,
    before: Callable[[View], None] = lambda view: None,
    after: Callable[[View], None] = lambda view: None,
) -> None:
    """Walk with images of a frame until pairs are accepted and the reason is named; nothing metric may appear."""
    robot.forget()

    def enough() -> bool:
        pairs = [m for m in robot.messages("pair_pose") if m.accepted and m.image_frame == frame]
        return len(pairs) >= 4 and reason in reasons(robot)

    deadline = time.monotonic() + 60.0
    while not enough() and time.monotonic() < deadline:
        view = walker.next()
        before(view)
        robot.send(view, frame)
        time.sleep(0.1)
        after(view)
    assert enough(), stub.text + reasons(robot)
    pairs = [m for m in robot.messages("pair_pose") if m.image_frame == frame]
    assert {m.unit for m in pairs} == {PairPose.UNIT_RELATIVE}
    assert Scale.METRIC not in {m.state for m in robot.messages("scale") if m.header.frame_id == frame}
    metric = [name for name in METRIC_HERE for m in robot.messages(name) if m.header.frame_id == frame]
    assert not metric, metric
    assert stub.alive and "Traceback" not in stub.text


def walk_to_metres(stub: StubProcess, robot: Robot, walker: Walker, late_s: float = 0.0) -> None:
    """Walk with good tf, later than the images by as much, until the scale is metric."""
    robot.forget()
    deadline = time.monotonic() + 60.0

    def metric() -> bool:
        return any(m.unit == PairPose.UNIT_METRIC for m in robot.messages("pair_pose"))

    while not metric() and time.monotonic() < deadline:
        view = walker.next()
        if late_s:
            robot.send(view)
            time.sleep(late_s)
            robot.publish_odometry([view])
        else:
            robot.publish_odometry([view])
            robot.send(view)
            time.sleep(0.1)
    assert metric(), stub.text + reasons(robot)
    assert stub.alive


def set_wait(robot: Robot, seconds: float) -> None:
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=seconds)
    reply = robot.call(
        SetParameters, "set_parameters", parameters=[Parameter(name="odometry.max_wait_s", value=value)]
    )
    assert reply.results[0].successful


def test_missing_tf_means_no_metres(stub: StubProcess, robot: Robot, walker: Walker) -> None:
    walk_without_metres(stub, robot, walker, new_frame(), "does not exist")
    walk_to_metres(stub, robot, walker)


def test_tf_that_comes_after_its_image_is_waited_for(stub: StubProcess, robot: Robot, walker: Walker) -> None:
    walk_to_metres(stub, robot, walker)
    # Another frame in between, so that the scale must be found anew.
    walk_without_metres(stub, robot, walker, new_frame(), "does not exist")
    walk_to_metres(stub, robot, walker, late_s=0.2)


def test_tf_that_comes_too_late_means_no_metres(stub: StubProcess, robot: Robot, walker: Walker) -> None:
    walk_to_metres(stub, robot, walker)
    set_wait(robot, 0.0)
    frame, sent = new_frame(), []
    robot.tf_static.publish(TFMessage(transforms=[shift("base_link", frame, 0)]))

    def odometry_of_the_view_before(view: View) -> None:
        sent.append(view)
        robot.publish_odometry(sent[-2:-1])

    walk_without_metres(
        stub, robot, walker, frame, "extrapolation into the future", before=odometry_of_the_view_before
    )
    set_wait(robot, LONG_WAIT_S)
    walk_to_metres(stub, robot, walker)


def test_a_loop_in_tf_stops_nothing(stub: StubProcess, robot: Robot, walker: Walker) -> None:
    frame = new_frame()

    def loop(view: View) -> None:
        there, back = shift(f"{frame}_mast", frame, view.stamp_ns), shift(frame, f"{frame}_mast", view.stamp_ns)
        robot.tf.publish(TFMessage(transforms=[there, back, shift(frame, frame, view.stamp_ns)]))
        robot.publish_odometry([view])

    walk_without_metres(stub, robot, walker, frame, "loop", before=loop)
    walk_to_metres(stub, robot, walker)


def test_an_optical_frame_without_a_base_means_no_metres(stub: StubProcess, robot: Robot, walker: Walker) -> None:
    frame = new_frame()
    robot.tf_static.publish(TFMessage(transforms=[shift(f"{frame}_mast", frame, 0)]))
    walk_without_metres(
        stub, robot, walker, frame, "unconnected", before=lambda view: robot.publish_odometry([view])
    )
    walk_to_metres(stub, robot, walker)


@pytest.mark.parametrize(
    ("quaternion", "complaint"),
    [
        ((0.0, 0.0, 0.0, float("nan")), "not finite"),
        ((0.0, 0.0, 0.0, float("inf")), "not finite"),
        ((0.0, 0.0, 0.0, 0.0), "not of unit length"),
        ((0.0, 0.0, 0.0, 2.0), "not of unit length"),
    ],
)
def test_a_broken_transform_is_refused_and_named(
    stub: StubProcess, robot: Robot, walker: Walker, quaternion: tuple[float, ...], complaint: str
) -> None:
    frame = new_frame()

    def broken(view: View) -> None:
        robot.tf.publish(TFMessage(transforms=[shift("odom", frame, view.stamp_ns, quaternion)]))

    walk_without_metres(stub, robot, walker, frame, "does not exist", before=broken)
    lines = lambda: [line for line in stub.text.splitlines() if complaint in line and frame in line]  # noqa: E731
    deadline = time.monotonic() + 30.0  # another complaint may hide this one for a while
    while not lines() and time.monotonic() < deadline:
        broken(walker.next())
        time.sleep(0.1)
    assert 1 <= len(lines()) <= 10, stub.text
    walk_to_metres(stub, robot, walker)
