"""No message stops the node: malformed images are counted with a reason, and the next good one works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import Harness, camera_info, image_message
from lsm_perception_msgs.msg import Keyframe
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from synthetic_world import HEIGHT, WIDTH, K, View, walk

from lsm_core.errors import DeviceError


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(14)


@pytest.fixture(scope="module")
def running(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    harness = Harness(FakeBackend(views), {"odometry.source": "none"}, listen=("keyframes", "pair_pose", "points"))
    harness.wait_active()
    harness.wait_connected("keyframes", "pair_pose", "points")
    yield harness
    harness.close()


@pytest.fixture
def node(running: Harness) -> Harness:
    """The same node for all tests of this file, with nothing known: none of them may have harmed it."""
    running.renew()
    return running


def dropped(node: Harness) -> dict[str, int]:
    assert node.node.runtime is not None
    return dict(node.node.runtime.account.counts().dropped)


def deliver(node: Harness, message: Image, view: View | None = None) -> None:
    """Publish one image and wait until the node has decided on it."""
    runtime = node.node.runtime
    assert runtime is not None
    before = runtime.account.counts().delivered
    if view is not None:
        node.infos.publish(camera_info(view.stamp_ns))
    node.images.publish(message)
    assert wait_until(lambda: runtime.account.counts().delivered > before)
    assert runtime.account.counts().delivered == before + 1


def changed(view: View, **fields: Any) -> Image:
    message = image_message(view.rgb, view.stamp_ns)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def smooth() -> np.ndarray:
    """Return a picture without any detail: a slow gradient."""
    x = np.linspace(60, 190, WIDTH)[None, :, None] + np.zeros((HEIGHT, 1, 3))
    return np.asarray(cv2.GaussianBlur(x.astype(np.uint8), (41, 41), 15))


MALFORMED: list[tuple[str, Callable[[View], Image], str]] = [
    ("no data", lambda v: changed(v, data=[]), "bad_size"),
    ("short data", lambda v: changed(v, data=[0] * (HEIGHT * WIDTH * 3 - 1)), "bad_size"),
    ("long data", lambda v: changed(v, data=[0] * (HEIGHT * WIDTH * 3 + 1)), "bad_size"),
    ("no size", lambda v: changed(v, width=0, height=0), "bad_size"),
    ("huge width", lambda v: changed(v, width=2**31), "bad_size"),
    ("huge both", lambda v: changed(v, width=2**32 - 1, height=2**32 - 1, step=2**32 - 1), "bad_size"),
    ("small step", lambda v: changed(v, step=WIDTH), "bad_size"),
    ("step beyond data", lambda v: changed(v, step=2**32 - 1), "bad_size"),
    ("no encoding", lambda v: changed(v, encoding=""), "bad_encoding"),
    ("unknown encoding", lambda v: changed(v, encoding="rgb9"), "bad_encoding"),
    ("depth as image", lambda v: changed(v, encoding="32FC1"), "bad_encoding"),
    ("mono named rgb", lambda v: changed(v, step=WIDTH, data=[0] * HEIGHT * WIDTH), "bad_size"),
    ("zero stamp", lambda v: image_message(v.rgb, 0), "bad_stamp"),
    ("black", lambda v: image_message(np.zeros_like(v.rgb), v.stamp_ns), "blank"),
    ("white", lambda v: image_message(np.full_like(v.rgb, 255), v.stamp_ns), "blank"),
    ("blurred", lambda v: image_message(smooth(), v.stamp_ns), "blurred"),
]


@pytest.mark.parametrize(("make", "reason"), [m[1:] for m in MALFORMED], ids=[m[0] for m in MALFORMED])
def test_malformed_image_is_counted_and_the_next_one_works(
    node: Harness, views: list[View], make: Callable[[View], Image], reason: str
) -> None:
    deliver(node, make(views[0]))
    assert dropped(node) == {reason: 1}
    node.walk(views[1:5])
    assert wait_until(lambda: any(m.accepted for m in node.messages("pair_pose")))
    assert node.node.state_label == "active"


def test_duplicate_and_old_stamps_are_refused(node: Harness, views: list[View]) -> None:
    node.walk(views[:3])
    deliver(node, image_message(views[4].rgb, views[2].stamp_ns))
    deliver(node, image_message(views[5].rgb, views[1].stamp_ns))
    assert dropped(node)["bad_stamp"] == 2
    assert not any(m.action == Keyframe.REMOVED for m in node.messages("keyframes"))


def test_frozen_camera_is_noticed(node: Harness, views: list[View]) -> None:
    node.walk(views[:2])
    for i in range(1, 4):
        deliver(node, image_message(views[1].rgb, views[1].stamp_ns + i * 50_000_000))
    assert dropped(node)["frozen"] == 3


def test_jump_back_in_time_starts_anew_once(node: Harness, views: list[View]) -> None:
    node.walk(views[10:14])
    later = len(node.messages("keyframes"))
    shifted = [View(v.rgb, v.depth, v.label, v.T_world_cam, v.stamp_ns - 60_000_000_000) for v in views[:6]]
    node.walk(shifted)
    after = node.messages("keyframes")[later:]
    firsts = [m for m in after if m.action == Keyframe.ADDED and m.reason == Keyframe.REASON_FIRST]
    assert len(firsts) == 1 and dropped(node)["bad_stamp"] == 1  # the first of them could have been a wrong one
    removed = [m for m in after if m.action == Keyframe.REMOVED]
    assert removed and {m.reason for m in removed} == {Keyframe.REASON_RESET}
    assert node.messages("pair_pose")[-1].accepted


def test_another_image_format_never_makes_a_mixed_pair(node: Harness, views: list[View]) -> None:
    node.walk(views[:5])
    pairs = len(node.messages("pair_pose"))
    small = cv2.resize(views[5].rgb, (160, 120))
    deliver(node, image_message(small, views[5].stamp_ns))
    deliver(node, image_message(views[6].rgb, views[6].stamp_ns, "other_frame"))
    node.settle()
    firsts = lambda: [m for m in node.messages("keyframes") if m.reason == Keyframe.REASON_FIRST]  # noqa: E731
    assert wait_until(lambda: len(firsts()) == 3), dropped(node)
    assert len(node.messages("pair_pose")) == pairs


def test_the_new_calibration_is_used_from_the_change_on(node: Harness, views: list[View]) -> None:
    assert node.node.runtime is not None
    context = node.node.runtime.cameras[""]

    def send(view: View, **changes: Any) -> None:
        node.infos.publish(camera_info(view.stamp_ns, **changes))
        told = changes.get("k", [float(v) for v in K.ravel()])
        assert wait_until(lambda: context.stream.calibration.newest_k() == told)
        deliver(node, image_message(view.rgb, view.stamp_ns))

    narrow = [float(v) for v in (K * [[1.25, 1, 1], [1, 1.25, 1], [1, 1, 1]]).ravel()]
    for view in views[:4]:
        send(view)
    for view in views[4:9]:
        send(view, k=narrow)
    node.settle()
    kept = context.mapper.latest()
    assert kept is not None and kept.calibration.K is not None
    assert np.allclose(kept.calibration.K.ravel(), narrow)
    firsts = [m for m in node.messages("keyframes") if m.reason == Keyframe.REASON_FIRST]
    assert [m.header.stamp.nanosec for m in firsts] == [views[i].stamp_ns % 10**9 for i in (0, 4)]


def test_answers_that_are_not_finite_are_thrown_away(node: Harness, views: list[View]) -> None:
    node.backend.poison = "pointmap 1"
    node.walk(views[:6])
    assert node.messages("points") == [] and node.messages("pair_pose") == []
    assert dropped(node)["non_finite"] >= 2
    node.backend.calm()
    node.walk(views[6:12])
    assert node.messages("pair_pose")[-1].accepted


@pytest.mark.parametrize("error", [DeviceError("The GPU is out of memory."), RuntimeError("boom"), MemoryError()])
def test_a_model_that_fails_does_not_stop_the_node(node: Harness, views: list[View], error: Exception) -> None:
    node.backend.fail = error
    node.walk(views[:4])
    reasons = dropped(node)
    assert reasons.get("backend_error", 0) + reasons.get("internal", 0) >= 1
    node.backend.fail = None
    node.walk(views[4:10])
    assert node.messages("pair_pose")[-1].accepted
    assert node.node.runtime is not None and node.node.runtime.worker.alive


@pytest.mark.parametrize(
    ("changes", "calibrated", "reason"),
    [
        ({"k": [0.0] * 9}, False, None),
        ({"width": 640}, False, None),
        ({"distortion_model": "equidistant", "d": [0.1] * 4}, None, "bad_camera_info"),
        ({"k": [float("nan")] * 9}, False, None),
        ({"header": Header(frame_id="another_camera")}, False, None),
        ({}, True, None),
    ],
    ids=["uncalibrated", "other size", "fisheye", "nan", "other frame", "good"],
)
def test_camera_info_is_used_only_when_it_fits(
    node: Harness, views: list[View], changes: dict, calibrated: bool | None, reason: str | None
) -> None:
    stream = node.node.runtime.cameras[""].stream if node.node.runtime else None
    assert stream is not None
    node.infos.publish(camera_info(views[0].stamp_ns, **changes))
    assert wait_until(lambda: stream.calibration.heard)
    deliver(node, image_message(views[0].rgb, views[0].stamp_ns))
    node.settle()
    if reason is not None:
        assert dropped(node) == {reason: 1}
    else:
        assert dropped(node) == {} and stream.calibration.calibrated is calibrated
