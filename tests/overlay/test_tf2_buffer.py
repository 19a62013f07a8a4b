"""The transform buffer against 4x4 matrices and scipy."""

import threading
import time as wall

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

pytest.importorskip("rclpy", reason="ROS 2 is not in this environment")
tf2_ros = pytest.importorskip("tf2_ros", reason="the workspace is not built")

from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.time import Time

pytestmark = pytest.mark.ros
QUATS = Rotation.random(8, random_state=11).as_quat()
SECOND = 1_000_000_000


def transform(parent: str, child: str, time_s: float, xyz, quat=(0.0, 0.0, 0.0, 1.0)) -> TransformStamped:  # type: ignore[no-untyped-def]
    """Return a message; the stamp is exact for times with few digits."""
    msg = TransformStamped()
    msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(round(time_s * SECOND), SECOND)
    msg.header.frame_id, msg.child_frame_id = parent, child
    t, r = msg.transform.translation, msg.transform.rotation
    t.x, t.y, t.z = map(float, xyz)
    r.x, r.y, r.z, r.w = map(float, quat)
    return msg


def matrix(msg: TransformStamped) -> np.ndarray:
    """Return a message as a 4x4 matrix."""
    t, r = msg.transform.translation, msg.transform.rotation
    out = np.identity(4)
    out[:3, :3] = Rotation.from_quat([r.x, r.y, r.z, r.w]).as_matrix()
    out[:3, 3] = [t.x, t.y, t.z]
    return out


def at(time_s: float) -> Time:
    return Time(nanoseconds=round(time_s * SECOND))


@pytest.fixture
def buffer():  # type: ignore[no-untyped-def]
    """A robot: map -> odom -> base -> {camera, lidar}, with odom moving; and a frame of its own."""
    made = tf2_ros.Buffer()
    made.set_transform_static(transform("base", "camera", 0.0, [0.2, 0.0, 0.5], QUATS[0]), "test")
    made.set_transform_static(transform("base", "lidar", 0.0, [0.0, 0.1, 1.0], QUATS[1]), "test")
    made.set_transform(transform("odom", "base", 1.0, [0.0, 0.0, 0.0], QUATS[2]), "test")
    made.set_transform(transform("odom", "base", 2.0, [1.0, 2.0, 0.0], QUATS[3]), "test")
    made.set_transform(transform("map", "odom", 1.0, [5.0, 0.0, 0.0], QUATS[4]), "test")
    made.set_transform_static(transform("island", "beach", 0.0, [1.0, 0.0, 0.0]), "test")
    return made


def test_chain_up_is_the_product_of_its_links(buffer) -> None:  # type: ignore[no-untyped-def]
    found = buffer.lookup_transform("odom", "camera", at(1.0))
    expected = matrix(transform("odom", "base", 1, [0, 0, 0], QUATS[2])) @ matrix(
        transform("base", "camera", 0, [0.2, 0, 0.5], QUATS[0])
    )
    np.testing.assert_allclose(matrix(found), expected, atol=1e-12)
    assert (found.header.frame_id, found.child_frame_id, found.header.stamp.sec) == ("odom", "camera", 1)


def test_chain_down_is_the_inverse_of_the_chain_up(buffer) -> None:  # type: ignore[no-untyped-def]
    up = matrix(buffer.lookup_transform("map", "camera", at(1.0)))
    down = matrix(buffer.lookup_transform("camera", "map", at(1.0)))
    np.testing.assert_allclose(up @ down, np.identity(4), atol=1e-12)


def test_siblings_are_joined_through_their_parent(buffer) -> None:  # type: ignore[no-untyped-def]
    found = matrix(buffer.lookup_transform("camera", "lidar", at(1.5)))
    camera = matrix(transform("base", "camera", 0, [0.2, 0, 0.5], QUATS[0]))
    lidar = matrix(transform("base", "lidar", 0, [0, 0.1, 1.0], QUATS[1]))
    np.testing.assert_allclose(found, np.linalg.inv(camera) @ lidar, atol=1e-12)


def test_siblings_do_not_need_the_links_above_their_parent(buffer) -> None:  # type: ignore[no-untyped-def]
    """At a time when odometry is long out of date, two sensors of the base still know each other."""
    assert buffer.can_transform("camera", "lidar", at(99.0))
    assert not buffer.can_transform("odom", "lidar", at(99.0))


@pytest.mark.parametrize("fraction", [0.0, 0.25, 0.5, 0.999, 1.0])
def test_poses_between_samples_are_interpolated(buffer, fraction: float) -> None:  # type: ignore[no-untyped-def]
    found = matrix(buffer.lookup_transform("odom", "base", at(1.0 + fraction)))
    turn = Slerp([0, 1], Rotation.from_quat([QUATS[2], QUATS[3]]))(fraction)
    np.testing.assert_allclose(found[:3, :3], turn.as_matrix(), atol=1e-9)
    np.testing.assert_allclose(found[:3, 3], np.array([1.0, 2.0, 0.0]) * fraction, atol=1e-12)


def test_stamps_are_exact_to_the_nanosecond() -> None:
    buffer = tf2_ros.Buffer()
    stamp = 1_780_000_000_123_456_789
    for index, offset in enumerate((-1, 0, 1)):
        msg = transform("a", "b", 0, [index, 0, 0])
        msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(stamp + offset, SECOND)
        buffer.set_transform(msg, "test")
    found = buffer.lookup_transform("a", "b", Time(nanoseconds=stamp))
    assert found.transform.translation.x == 1.0
    assert found.header.stamp.sec * SECOND + found.header.stamp.nanosec == stamp


def test_time_zero_asks_for_the_latest_common_time(buffer) -> None:  # type: ignore[no-untyped-def]
    assert buffer.lookup_transform("odom", "base", Time()).header.stamp.sec == 2
    # map -> odom is known up to 1 s only.
    assert buffer.lookup_transform("map", "camera", Time()).header.stamp.sec == 1
    assert buffer.lookup_transform("camera", "lidar", Time()).header.stamp.sec == 0


def test_late_arrivals_are_put_in_order() -> None:
    buffer = tf2_ros.Buffer()
    for time_s in (3.0, 1.0, 2.0):
        buffer.set_transform(transform("a", "b", time_s, [time_s**2, 0, 0]), "test")
    assert buffer.lookup_transform("a", "b", at(1.5)).transform.translation.x == pytest.approx(2.5)
    assert buffer.lookup_transform("a", "b", at(2.5)).transform.translation.x == pytest.approx(6.5)


@pytest.mark.parametrize(("time_s", "word"), [(0.5, "past"), (2.5, "future")])
def test_times_outside_the_samples_are_refused(buffer, time_s: float, word: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(tf2_ros.ExtrapolationException, match=f"extrapolation into the {word}"):
        buffer.lookup_transform("odom", "base", at(time_s))


def test_unknown_frame_unjoined_trees_and_empty_names_are_told_apart(buffer) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(tf2_ros.LookupException, match="nowhere"):
        buffer.lookup_transform("map", "nowhere", at(1.0))
    with pytest.raises(tf2_ros.ConnectivityException):
        buffer.lookup_transform("map", "beach", at(1.0))
    with pytest.raises(tf2_ros.ConnectivityException):
        buffer.lookup_transform("map", "beach", Time())
    with pytest.raises(tf2_ros.InvalidArgumentException):
        buffer.lookup_transform("", "camera", at(1.0))
    for error in (tf2_ros.LookupException, tf2_ros.ConnectivityException, tf2_ros.ExtrapolationException):
        assert issubclass(error, tf2_ros.TransformException)


def test_can_transform_tells_why_not(buffer) -> None:  # type: ignore[no-untyped-def]
    assert buffer.can_transform("odom", "base", at(1.2)) is True
    able, why = buffer.can_transform("odom", "base", at(7.0), return_debug_tuple=True)
    assert not able
    assert "future" in why


def test_frames_at_two_times_are_joined_through_a_fixed_frame(buffer) -> None:  # type: ignore[no-untyped-def]
    """How far did the camera move in one second, seen from where it was?"""
    found = matrix(buffer.lookup_transform_full("camera", at(1.0), "camera", at(2.0), "odom"))
    before = matrix(buffer.lookup_transform("odom", "camera", at(1.0)))
    after = matrix(buffer.lookup_transform("odom", "camera", at(2.0)))
    np.testing.assert_allclose(found, np.linalg.inv(before) @ after, atol=1e-12)
    assert not buffer.can_transform_full("camera", at(1.0), "camera", at(9.0), "odom")


def test_samples_older_than_the_cache_are_forgotten() -> None:
    buffer = tf2_ros.Buffer(cache_time=Duration(seconds=2))
    for time_s in range(1, 8):
        buffer.set_transform(transform("a", "b", time_s, [time_s, 0, 0]), "test")
    assert buffer.can_transform("a", "b", at(5.0))
    assert not buffer.can_transform("a", "b", at(4.9))
    buffer.set_transform(transform("a", "b", 1.0, [0, 0, 0]), "test")
    assert not buffer.can_transform("a", "b", at(4.0))


@pytest.mark.parametrize(
    "bad",
    [
        transform("a", "a", 1, [0, 0, 0]),
        transform("", "b", 1, [0, 0, 0]),
        transform("a", "b", 1, [np.nan, 0, 0]),
        transform("a", "b", 1, [0, 0, 0], [0, 0, 0, 0]),
        transform("a", "b", 1, [0, 0, 0], [0, 0, 0, 2]),
    ],
    ids=["own parent", "no parent", "nan", "zero quaternion", "long quaternion"],
)
def test_unusable_transforms_are_ignored(bad: TransformStamped) -> None:
    buffer = tf2_ros.Buffer()
    buffer.set_transform(bad, "test")
    assert not buffer.can_transform("a", "b", Time())


def test_a_loop_in_the_tree_is_an_error_and_not_a_hang() -> None:
    buffer = tf2_ros.Buffer()
    for parent, child in (("a", "b"), ("b", "c"), ("c", "a")):
        buffer.set_transform(transform(parent, child, 1.0, [1, 0, 0]), "test")
    buffer.set_transform(transform("x", "y", 1.0, [1, 0, 0]), "test")
    for time in (at(1.0), Time()):
        with pytest.raises(tf2_ros.ConnectivityException):
            buffer.lookup_transform("y", "a", time)


def test_a_frame_may_move_to_another_parent() -> None:
    buffer = tf2_ros.Buffer()
    buffer.set_transform(transform("table", "cup", 1.0, [1, 0, 0]), "test")
    buffer.set_transform(transform("hand", "cup", 2.0, [0, 1, 0]), "test")
    assert buffer.can_transform("table", "cup", at(1.5))
    assert buffer.lookup_transform("hand", "cup", at(2.0)).transform.translation.y == 1.0


def test_a_lookup_with_timeout_wakes_when_the_transform_arrives() -> None:
    buffer = tf2_ros.Buffer()
    sender = threading.Timer(0.1, buffer.set_transform, (transform("a", "b", 1.0, [3, 0, 0]), "test"))
    sender.start()
    try:
        found = buffer.lookup_transform("a", "b", at(1.0), timeout=Duration(seconds=20))
    finally:
        sender.join()
    assert found.transform.translation.x == 3.0


def test_a_lookup_with_timeout_ends() -> None:
    started = wall.monotonic()
    with pytest.raises(tf2_ros.LookupException):
        tf2_ros.Buffer().lookup_transform("a", "b", at(1.0), timeout=Duration(nanoseconds=50_000_000))
    assert wall.monotonic() - started >= 0.05


def test_a_future_is_set_once_the_transform_is_known() -> None:
    buffer = tf2_ros.Buffer()
    future = buffer.wait_for_transform_async("a", "c", at(1.0))
    buffer.set_transform(transform("a", "b", 1.0, [0, 0, 0]), "test")
    assert not future.done()
    buffer.set_transform_static(transform("b", "c", 0.0, [0, 0, 0]), "test")
    assert future.done()
    assert future.result() is True


def test_clear_keeps_what_is_static(buffer) -> None:  # type: ignore[no-untyped-def]
    buffer.clear()
    assert buffer.can_transform("base", "camera", Time())
    assert not buffer.can_transform("odom", "base", Time())


def test_lookups_and_inserts_from_many_threads_stay_consistent() -> None:
    """Each sample has x = y = z, so a torn read would show."""
    buffer = tf2_ros.Buffer()
    buffer.set_transform(transform("a", "b", 1.0, [1, 1, 1]), "test")
    faults: list[str] = []

    def read() -> None:
        for _ in range(300):
            t = buffer.lookup_transform("a", "b", Time()).transform.translation
            if not t.x == t.y == t.z:
                faults.append(f"{t.x} {t.y} {t.z}")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for step in range(300):
        value = 1.0 + step * 0.01
        buffer.set_transform(transform("a", "b", value, [value] * 3), "test")
    for reader in readers:
        reader.join()
    assert faults == []
