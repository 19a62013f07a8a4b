"""Services and latched topics at the edges of a node's life."""

from __future__ import annotations

import threading

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import Harness
from lsm_perception.runtime import Runtime
from lsm_perception_msgs.msg import ResultCode
from lsm_perception_msgs.srv import QueryText
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import Image, PointCloud2
from synthetic_world import View, walk

from lsm_core.errors import WeightsError


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(14)


def test_query_before_any_image_is_not_ready(rclpy_session: None) -> None:
    harness = Harness(FakeBackend(), listen=())
    try:
        harness.wait_active()
        reply = harness.call(QueryText, "query_text", texts=["chair"])
        assert not reply.success and reply.code == ResultCode.NOT_READY
    finally:
        harness.close()


def test_late_listener_gets_the_map(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), listen=())
    try:
        harness.wait_active()
        harness.walk(views[:7])
        heard: list[PointCloud2] = []
        harness.client.create_subscription(
            PointCloud2, "lsm_perception/map_points", heard.append, QoSProfile(depth=1)
        )
        assert wait_until(lambda: any(m.width > 100 for m in heard), 5.0)
    finally:
        harness.close()


def test_lifecycle_goes_round_and_frees_the_model(rclpy_session: None, views: list[View]) -> None:
    done = TransitionCallbackReturn.SUCCESS
    harness = Harness(FakeBackend(views), {"autostart": False}, listen=("keyframes",))
    try:
        node = harness.node
        assert node.state_label == "unconfigured" and node.runtime is None
        for _ in range(3):
            assert node.trigger_configure() == done and node.state_label == "inactive"
            assert harness.call(QueryText, "query_text", texts=["wall"]).code == ResultCode.NOT_READY
            assert node.trigger_activate() == done
            harness.wait_active()
            harness.walk(views[:3])
            assert node.trigger_deactivate() == done and node.state_label == "inactive"
            assert wait_until(lambda: harness.images.get_subscription_count() == 0)
            assert node.trigger_cleanup() == done and node.state_label == "unconfigured"
            assert harness.backend.closed and node.runtime is None
    finally:
        harness.close()


def test_configure_warms_the_model_up_and_embeds_the_standing_queries(
    rclpy_session: None, views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(FakeBackend(views), {"autostart": False, "queries.texts": ["door", "wall"]}, listen=())
    asked: list[str] = []
    embed = harness.backend.encode_texts
    monkeypatch.setattr(harness.backend, "encode_texts", lambda texts: asked.extend(texts) or embed(texts))
    try:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        assert harness.backend.predictions == 1 and set(asked) >= {"door", "wall"}
    finally:
        harness.close()


def test_a_node_without_its_inference_thread_does_not_stay_active(
    rclpy_session: None, views: list[View], capfd: pytest.CaptureFixture[str]
) -> None:
    harness = Harness(FakeBackend(views), listen=())
    try:
        harness.wait_active()
        assert harness.node.runtime is not None
        assert harness.node.runtime.worker.stop(5)  # as if the thread had died: nobody deactivated the node
        assert wait_until(lambda: harness.node.state_label == "unconfigured")
        assert harness.backend.closed and "the inference thread has ended" in capfd.readouterr().err
        assert harness.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    finally:
        harness.close()


def test_a_configure_that_fails_late_leaves_no_publishers(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"autostart": False, "pairing": "rig"}, listen=())
    try:
        before = len(list(harness.node.publishers))
        for _ in range(2):
            assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
            assert len(list(harness.node.publishers)) == before
    finally:
        harness.close()


def test_an_unexpected_error_in_configure_is_logged_and_the_node_can_be_used_again(
    rclpy_session: None, views: list[View], capfd: pytest.CaptureFixture[str]
) -> None:
    harness = Harness(FakeBackend(views), {"autostart": False}, listen=())
    try:
        good = harness.node._load_backend
        harness.node._load_backend = lambda *_: {}["nothing"]
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert harness.node.state_label == "unconfigured" and "KeyError: 'nothing'" in capfd.readouterr().err
        harness.node._load_backend = good
        assert harness.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    finally:
        harness.close()


def test_an_error_in_activate_is_logged_and_leads_back_to_unconfigured(
    rclpy_session: None, views: list[View], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(FakeBackend(views), {"autostart": False}, listen=())
    try:
        assert harness.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
        monkeypatch.setattr(Runtime, "start", lambda _self: {}["no network"])
        assert harness.node.trigger_activate() == TransitionCallbackReturn.ERROR
        assert harness.node.state_label == "unconfigured" and harness.backend.closed
        assert "on_activate failed" in (log := capfd.readouterr().err) and "KeyError: 'no network'" in log
    finally:
        harness.close()


def test_cycles_leave_no_publishers_threads_or_timers_behind(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"autostart": False}, listen=())
    try:
        node = harness.node

        def census() -> tuple[int, ...]:
            lists = (node.publishers, node.subscriptions, node.services, node.timers)
            # The executor starts the threads of its pool as callbacks come.
            threads = [t for t in threading.enumerate() if not t.name.startswith("ThreadPoolExecutor")]
            return (*(len(list(entities)) for entities in lists), len(threads))

        counts = []
        for _ in range(4):
            for step in (
                node.trigger_configure,
                node.trigger_activate,
                node.trigger_deactivate,
                node.trigger_cleanup,
            ):
                assert step() == TransitionCallbackReturn.SUCCESS
            counts.append(census())
        assert counts[1:] == counts[:-1], counts
    finally:
        harness.close()


def test_starts_with_simulated_time_that_does_not_run(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"use_sim_time": True}, listen=("diagnostics",))
    try:
        harness.wait_active()
        harness.walk(views[:3])
        assert wait_until(lambda: len(harness.messages("diagnostics")) >= 1, 5.0)
    finally:
        harness.close()


def test_an_incompatible_publisher_is_named_in_diagnostics(rclpy_session: None, views: list[View]) -> None:
    override = {"qos_overrides./image.subscription.reliability": "reliable", "input.no_data_s": 1.0}
    harness = Harness(FakeBackend(views), override, listen=("diagnostics",))
    try:
        assert wait_until(lambda: harness.node.state_label == "active")
        harness.client.create_publisher(Image, "image", qos_profile_sensor_data)
        harness.client.destroy_publisher(harness.images)
        complaints = lambda: [  # noqa: E731
            s.message for m in harness.messages("diagnostics") for s in m.status if "QoS" in s.message
        ]
        assert wait_until(lambda: any("incompatible" in c and "reliability" in c for c in complaints()), 8.0)
    finally:
        harness.close()


def test_parameters_changed_at_run_time_take_effect(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), listen=("segmentation/label_info", "points"))
    try:
        harness.wait_active()
        harness.wait_connected("points")
        changes = [Parameter("queries.texts", value=["door"]), Parameter("points.max_points", value=150)]
        assert all(r.successful for r in harness.node.set_parameters(changes))
        harness.walk(views[:6])
        assert wait_until(lambda: len(harness.messages("points")) > 0)
        assert harness.messages("points")[-1].width <= 150
        assert [c.class_name for c in harness.messages("segmentation/label_info")[-1].class_map] == [
            "door",
            "unlabelled",
        ]
    finally:
        harness.close()


def test_configure_that_fails_can_be_repeated(rclpy_session: None, views: list[View]) -> None:
    harness = Harness(FakeBackend(views), {"autostart": False}, listen=())
    try:
        good = harness.node._load_backend

        def broken(*_: object) -> FakeBackend:
            raise WeightsError("There is no weights file x.", "Fetch it.")

        harness.node._load_backend = broken
        assert harness.node.trigger_configure() == TransitionCallbackReturn.FAILURE
        assert harness.node.state_label == "unconfigured"
        harness.node._load_backend = good
        assert harness.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    finally:
        harness.close()
