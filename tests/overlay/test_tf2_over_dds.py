"""Broadcasters and listener between two nodes."""

import time as wall
from collections.abc import Callable, Iterator

import pytest

rclpy = pytest.importorskip("rclpy", reason="ROS 2 is not in this environment")
tf2_ros = pytest.importorskip("tf2_ros", reason="the workspace is not built")

from geometry_msgs.msg import TransformStamped
from rclpy.executors import SingleThreadedExecutor
from rclpy.time import Time
from ros_domain import DOMAIN

pytestmark = pytest.mark.ros


@pytest.fixture
def pair() -> Iterator[tuple]:
    """Two nodes and an executor that spins both."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=DOMAIN)
    nodes = [rclpy.create_node(name, context=context) for name in ("sender", "receiver")]
    executor = SingleThreadedExecutor(context=context)
    for node in nodes:
        executor.add_node(node)
    yield (*nodes, executor)
    executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def _transform(parent: str, child: str, x: float) -> TransformStamped:
    msg = TransformStamped()
    msg.header.stamp.sec, msg.header.stamp.nanosec = 7, 123456789
    msg.header.frame_id, msg.child_frame_id = parent, child
    msg.transform.translation.x, msg.transform.rotation.w = x, 1.0
    return msg


def _until(
    executor: SingleThreadedExecutor, done: Callable[[], bool], each: Callable[[], None] = lambda: None
) -> bool:
    deadline = wall.monotonic() + 15.0
    while not done() and wall.monotonic() < deadline:
        each()
        executor.spin_once(timeout_sec=0.05)
    return done()


def test_moving_and_fixed_transforms_reach_a_listener_that_comes_late(pair: tuple) -> None:
    sender, receiver, executor = pair
    static = tf2_ros.StaticTransformBroadcaster(sender)
    static.sendTransform(_transform("base", "camera", 0.5))
    static.sendTransform([_transform("base", "lidar", 0.25)])
    moving = tf2_ros.TransformBroadcaster(sender)
    buffer = tf2_ros.Buffer(node=receiver)
    listener = tf2_ros.TransformListener(buffer, receiver)
    stamp = Time(seconds=7, nanoseconds=123456789)
    assert _until(
        executor,
        lambda: buffer.can_transform("odom", "camera", stamp) and buffer.can_transform("camera", "lidar", stamp),
        lambda: moving.sendTransform([_transform("odom", "base", 2.0)]),
    )
    assert buffer.lookup_transform("odom", "camera", stamp).transform.translation.x == 2.5
    assert buffer.lookup_transform("camera", "lidar", stamp).transform.translation.x == -0.25
    listener.unregister()


def test_a_new_fixed_transform_replaces_the_old_one_of_the_same_frame(pair: tuple) -> None:
    sender, receiver, executor = pair
    static = tf2_ros.StaticTransformBroadcaster(sender)
    static.sendTransform(_transform("base", "camera", 0.5))
    static.sendTransform(_transform("base", "camera", 0.75))
    assert len(static.net_message.transforms) == 1
    buffer = tf2_ros.Buffer()
    tf2_ros.TransformListener(buffer, receiver)
    assert _until(executor, lambda: buffer.can_transform("base", "camera", Time()))
    assert buffer.lookup_transform("base", "camera", Time()).transform.translation.x == 0.75


def test_frames_are_served_as_yaml(pair: tuple) -> None:
    yaml = pytest.importorskip("yaml")
    from tf2_msgs.srv import FrameGraph

    sender, receiver, executor = pair
    buffer = tf2_ros.Buffer(node=receiver)
    buffer.set_transform(_transform("odom", "base", 2.0), "somebody")
    client = sender.create_client(FrameGraph, "tf2_frames")
    assert _until(executor, client.service_is_ready)
    future = client.call_async(FrameGraph.Request())
    assert _until(executor, future.done)
    frames = yaml.safe_load(future.result().frame_yaml)
    assert frames["base"]["parent"] == "odom"
    assert frames["base"]["broadcaster"] == "somebody"
