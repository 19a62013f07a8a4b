"""Faults that need a node of their own: a slow model, compressed input."""

from __future__ import annotations

import cv2
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import FRAME, Harness
from lsm_perception.conversions.stamps import stamp_from_ns
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from synthetic_world import View, walk


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(14)


def test_slow_model_drops_old_candidates_and_keeps_the_newest(rclpy_session: None) -> None:
    views = walk(30, step_m=0.08)
    backend = FakeBackend(views)
    backend.delay_s = 0.35
    harness = Harness(backend, {"odometry.source": "none"}, listen=("keyframes",))
    try:
        harness.wait_active()
        runtime = harness.node.runtime
        assert runtime is not None
        for view in views:
            before = runtime.account.counts()
            harness.send(view)
            total = before.delivered + before.pending
            assert wait_until(
                lambda total=total: runtime.account.counts().delivered + runtime.account.counts().pending > total
            )
            assert runtime.worker.waiting <= 1
        harness.settle()
        counts = runtime.account.counts()
        assert counts.delivered == len(views) == counts.used + sum(counts.dropped.values())
        assert counts.dropped["superseded"] >= 1 and counts.used >= 2
    finally:
        harness.close()


def test_compressed_images_and_broken_ones(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"image_transport": "compressed"}, listen=("keyframes", "pair_pose"))
    try:
        assert wait_until(lambda: harness.node.state_label == "active")
        publisher = harness.client.create_publisher(CompressedImage, "image/compressed", 10)
        assert wait_until(lambda: publisher.get_subscription_count() > 0)
        harness.wait_connected("pair_pose", "keyframes")
        png = cv2.imencode(".png", views[0].rgb[..., ::-1])[1].tobytes()
        jpeg = cv2.imencode(".jpg", views[0].rgb[..., ::-1])[1].tobytes()
        bad = [b"", b"not a picture", png[:200], jpeg[: len(jpeg) // 2], b"\xff\xd8\xff"]
        runtime = harness.node.runtime
        assert runtime is not None

        def send(data: bytes, stamp_ns: int, form: str = "png") -> None:
            before = runtime.account.counts().delivered
            message = CompressedImage(header=Header(stamp=stamp_from_ns(stamp_ns), frame_id=FRAME), format=form)
            message.data = list(data)
            publisher.publish(message)
            assert wait_until(lambda: runtime.account.counts().delivered > before)

        for i, data in enumerate(bad):
            send(data, views[0].stamp_ns + i)
        send(png, views[0].stamp_ns + 10, "16UC1; compressedDepth png")
        assert dict(runtime.account.counts().dropped) == {"bad_data": 5, "bad_encoding": 1}
        for view in views:
            send(cv2.imencode(".png", view.rgb[..., ::-1])[1].tobytes(), view.stamp_ns + 100)
        harness.settle()
        assert harness.messages("pair_pose")[-1].accepted
    finally:
        harness.close()
