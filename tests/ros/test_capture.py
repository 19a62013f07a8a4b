"""~/capture: the next usable image becomes a keyframe, whatever it shows, for all who asked; standing still too."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from dataclasses import replace

from fake_backend import FakeBackend
from harness import Harness
from lsm_perception.capture import Captured, CaptureWaiter
from lsm_perception.conversions import stamp_to_ns
from lsm_perception_msgs.msg import Keyframe, ResultCode
from lsm_perception_msgs.srv import Capture
from synthetic_world import View, walk

STEP = 100_000_001


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(14)


@pytest.fixture(scope="module")
def running(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    harness = Harness(FakeBackend(views), {"odometry.source": "none"}, listen=("keyframes", "pair_pose"))
    harness.wait_active()
    harness.wait_connected("keyframes", "pair_pose")
    yield harness
    harness.close()


@pytest.fixture
def node(running: Harness) -> Harness:
    running.renew()
    return running


class Call:
    """A ~/capture request in a thread of its own."""

    def __init__(self, node: Harness) -> None:
        self.reply: Capture.Response | None = None
        self._node = node
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.reply = self._node.call(Capture, "capture", timeout_s=20.0)

    def result(self) -> Capture.Response:
        self._thread.join(20)
        assert self.reply is not None
        return self.reply


def asked(node: Harness, count: int = 1) -> list[Call]:
    """Call ~/capture so often, and return when the node has begun to wait."""
    runtime = node.node.runtime
    assert runtime is not None
    waiting = runtime.captures.waiting
    calls = [Call(node) for _ in range(count)]
    assert wait_until(lambda: runtime.captures.waiting == waiting + count)
    return calls


def words(node: Harness) -> list[Keyframe]:
    return [m for m in node.messages("keyframes") if m.action != Keyframe.REMOVED]


def hears(node: Harness, view: View) -> Keyframe:
    """Return what ~/keyframes says of an image, as soon as it does."""
    found = lambda: [w for w in words(node) if stamp_to_ns(w.header.stamp) == view.stamp_ns]  # noqa: E731
    assert wait_until(lambda: bool(found())), view.stamp_ns
    return found()[-1]


def noisy(view: View, later: int) -> View:
    """Return the same view a little later: only the camera's noise differs."""
    noise = np.random.default_rng(later).integers(-2, 3, view.rgb.shape)
    rgb = np.clip(view.rgb.astype(int) + noise, 0, 255).astype(np.uint8)
    return replace(view, rgb=rgb, stamp_ns=view.stamp_ns + later * STEP)


def test_two_at_once_get_the_same_keyframe(node: Harness, views: list[View]) -> None:
    node.walk(views[:4])
    calls = asked(node, 2)
    node.send(views[4])
    first, second = (call.result() for call in calls)
    assert first.success and second.success and first.keyframe_id == second.keyframe_id > 0
    assert stamp_to_ns(first.header.stamp) == views[4].stamp_ns
    node.settle()
    node.walk([later := noisy(views[4], 1)])
    assert hears(node, later).reason != Keyframe.REASON_REQUESTED


def test_standing_still_it_is_kept_for_its_masks_and_the_chain_holds(node: Harness, views: list[View]) -> None:
    node.walk(views[:4])
    assert hears(node, views[3])
    anchor = [m for m in words(node) if m.action == Keyframe.ADDED][-1]
    still = next(v for v in views if v.stamp_ns == stamp_to_ns(anchor.header.stamp))
    runtime = node.node.runtime
    assert runtime is not None
    segment = runtime.cameras[""].mapper.segment
    later = views[3].stamp_ns - still.stamp_ns
    for i in range(1, 4):
        (call,) = asked(node)
        view = replace(noisy(still, i), stamp_ns=still.stamp_ns + later + i * STEP // 10)
        node.send(view)
        assert call.result().success
        word = hears(node, view)
        assert (word.action, word.reason) == (Keyframe.REFRESHED, Keyframe.REASON_REQUESTED)
        assert word.id == call.result().keyframe_id
    node.walk(views[4:9])
    assert all(pair.accepted for pair in node.messages("pair_pose"))
    assert runtime.cameras[""].mapper.segment == segment


def test_after_a_timeout_the_next_image_is_still_kept(node: Harness, views: list[View]) -> None:
    node.walk(views[:2])
    request = Capture.Request()
    request.timeout.nanosec = 200_000_000
    reply = node.call(Capture, "capture", timeout=request.timeout)
    assert not reply.success and reply.code == ResultCode.TIMEOUT and "still be a keyframe" in reply.message
    node.walk(views[2:3])
    assert hears(node, views[2]).reason == Keyframe.REASON_REQUESTED and hears(node, views[2]).id > 0


def test_a_bad_image_does_not_answer(node: Harness, views: list[View]) -> None:
    node.walk(views[:2])
    (call,) = asked(node)
    node.walk([replace(views[2], rgb=np.zeros_like(views[2].rgb))])
    assert hears(node, views[2]).reason == "blank" and call.reply is None
    node.send(views[3])
    assert stamp_to_ns(call.result().header.stamp) == views[3].stamp_ns


def test_deactivation_ends_the_wait(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"odometry.source": "none"}, listen=())
    try:
        harness.wait_active()
        (call,) = asked(harness)
        harness.node.trigger_deactivate()
        reply = call.result()
        assert not reply.success and reply.code == ResultCode.NOT_READY
        assert harness.call(Capture, "capture").code == ResultCode.NOT_READY
    finally:
        harness.close()


def test_the_keyframe_of_another_camera_is_no_answer() -> None:
    waiter = CaptureWaiter()
    ticket = waiter.ticket("left")
    waiter.made("right", Captured(1, 10, "right_frame"))
    assert waiter.wait("left", ticket, 0.05) is None
    waiter.made("left", keyframe := Captured(2, 20, "left_frame"))
    assert waiter.wait("left", ticket, 0.05) == keyframe
