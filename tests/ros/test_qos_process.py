"""QoS in the real process: overrides on every topic, RViz's defaults hear everything, late joiners are served."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.publishers import TYPES
from lsm_perception.qos import input_names, output_qos
from lsm_perception.symptoms import Symptom, see
from lsm_perception.topic_events import TopicEvents
from lsm_perception_msgs.srv import Stats
from node_process import ACTIVE, StubProcess
from rcl_interfaces.srv import ListParameters
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from robot import LATCHED, Robot
from synthetic_world import View
from tf2_msgs.msg import TFMessage
from walker import Walker

ROOT = Path(__file__).resolve().parents[2]
RVIZ = ROOT / "ros2_ws" / "src" / "lsm_perception" / "config" / "lsm_perception.rviz"
RVIZ_DEFAULT = QoSProfile(depth=5)  # of its displays: reliable, volatile
RVIZ_IMAGE = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
SEEN = ("points", "map_points", "gaussians", "path", "markers", "segmentation/overlay", "segmentation/label")


@pytest.fixture(scope="module")
def stub(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """A node whose timer does nothing for an hour, with some QoS of its own."""
    parameters = {
        "diagnostics_period_s": 3600.0,
        "qos_overrides./lsm_perception/pair_pose.publisher.reliability": "best_effort",
        "qos_overrides./lsm_perception/keyframes.publisher.durability": "transient_local",
        "qos_overrides./camera_info.subscription.reliability": "reliable",
        "qos_overrides./lsm_perception/pointz.publisher.depth": 7,
    }
    process = StubProcess(tmp_path_factory.mktemp("qos"), parameters)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robot(stub: StubProcess) -> Iterator[Robot]:
    client = Robot(("pair_pose", "keyframes"))
    yield client
    client.close()


class Ear:
    """Records what comes on topics; thread-safe for a list."""

    def __init__(self, robot: Robot) -> None:
        self._node = robot.client
        self._lock = threading.Lock()
        self.heard: dict[str, list[Any]] = {}

    def listen(self, kind: type, topic: str, qos: QoSProfile) -> None:
        messages = self.heard.setdefault(topic, [])

        def record(message: Any) -> None:
            with self._lock:
                messages.append(message)

        self._node.create_subscription(kind, topic, record, qos)

    def heard_all(self) -> bool:
        with self._lock:
            return all(self.heard.values())


def test_a_map_made_on_demand_is_served_to_a_new_listener_at_once(
    stub: StubProcess, robot: Robot, stub_views: list[View]
) -> None:
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    walker = Walker(robot, stub_views)
    assert walker.walk_until(lambda: robot.call(Stats, "stats").pairs_accepted >= 2), stub.text
    time.sleep(2.0)  # what was sent is done
    ear = Ear(robot)
    ear.listen(TYPES["map_points"], "lsm_perception/map_points", LATCHED)
    # Nobody listened while the map grew, no image comes, and the timer rests for an hour.
    full = lambda: any(cloud.width > 0 for cloud in list(ear.heard["lsm_perception/map_points"]))  # noqa: E731
    assert wait_until(full, 20.0), stub.text


def test_rviz_defaults_hear_everything(stub: StubProcess, robot: Robot, stub_views: list[View]) -> None:
    ear = Ear(robot)
    for name in SEEN:
        ear.listen(TYPES[name], f"lsm_perception/{name}", RVIZ_IMAGE if "segm" in name else RVIZ_DEFAULT)
    ear.listen(TFMessage, "/tf", QoSProfile(depth=100))
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    time.sleep(1.0)  # the node discovers the listeners
    walker = Walker(robot, stub_views, start_ns=stub_views[-1].stamp_ns + 10**12)
    assert walker.walk_until(ear.heard_all), {topic: len(messages) for topic, messages in ear.heard.items()}


def test_late_joiners_get_the_latched_products(stub: StubProcess, robot: Robot) -> None:
    ear = Ear(robot)
    for name in ("map_points", "segmentation/label_info", "scale"):
        ear.listen(TYPES[name], f"lsm_perception/{name}", LATCHED)
    assert wait_until(ear.heard_all), {topic: len(messages) for topic, messages in ear.heard.items()}
    assert ear.heard["lsm_perception/map_points"][-1].width > 0


def test_overrides_reach_publishers_and_subscriptions(stub: StubProcess, robot: Robot) -> None:
    (pose,) = robot.client.get_publishers_info_by_topic("/lsm_perception/pair_pose")
    assert pose.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT
    (keyframes,) = robot.client.get_publishers_info_by_topic("/lsm_perception/keyframes")
    assert keyframes.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
    (info,) = robot.client.get_subscriptions_info_by_topic("/camera_info")
    assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
    (image,) = robot.client.get_subscriptions_info_by_topic("/image")
    assert image.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_every_topic_has_its_overrides(stub: StubProcess, robot: Robot) -> None:
    names = set(robot.call(ListParameters, "list_parameters", prefixes=["qos_overrides"], depth=0).result.names)
    for policy in ("history", "depth", "reliability", "durability"):
        for name in input_names():
            assert f"qos_overrides./{name}.subscription.{policy}" in names
        for name in TYPES:
            topic = "/diagnostics" if name == "diagnostics" else f"/lsm_perception/{name}"
            assert f"qos_overrides.{topic}.publisher.{policy}" in names


def test_an_override_of_no_topic_is_warned_about(stub: StubProcess) -> None:
    assert (
        "Parameter 'qos_overrides./lsm_perception/pointz.publisher.depth' has no effect: no such topic is open. "
        "Did you mean 'qos_overrides./lsm_perception/points.publisher.depth'?"
    ) in stub.text


def displays(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield the displays of an RViz view that have a topic with QoS."""
    for display in tree["Visualization Manager"]["Displays"]:
        if isinstance(display.get("Topic"), dict):
            yield display


def test_the_rviz_view_asks_for_what_the_table_offers() -> None:
    words: dict[str, Any] = {
        "Reliable": ReliabilityPolicy.RELIABLE,
        "Best Effort": ReliabilityPolicy.BEST_EFFORT,
        "Volatile": DurabilityPolicy.VOLATILE,
        "Transient Local": DurabilityPolicy.TRANSIENT_LOCAL,
        "Keep Last": HistoryPolicy.KEEP_LAST,
    }
    seen = set()
    for display in displays(yaml.safe_load(RVIZ.read_text(encoding="utf-8"))):
        topic = display["Topic"]
        name = topic["Value"].removeprefix("/lsm_perception/")
        offered = output_qos(name)
        seen.add(name)
        assert words[topic["Durability Policy"]] == offered.durability, name
        assert words[topic["Reliability Policy"]] == offered.reliability, name
        assert words[topic["History Policy"]] == offered.history and topic["Depth"] == offered.depth, name
    assert {"points", "map_points", "path", "markers", "segmentation/overlay", "depth/image"} <= seen


def test_events_are_counted_and_can_be_cleared() -> None:
    class Event:
        total_count_change = 2
        last_policy_kind = 2

    class Nobody:
        def publishers(self, _topic: str) -> list[Any]:
            return []

    lines: list[str] = []
    lost: list[int] = []
    events = TopicEvents(Nobody(), lines.append)  # type: ignore[arg-type]
    callbacks = events.of_subscription("/image", QoSProfile(depth=1), lost.append, lambda: None)._callbacks
    for kind, callback in callbacks.items():
        if "MATCHED" not in str(kind):
            callback(Event())
    assert events.counts() == {"incompatible./image.durability": 2, "lost./image": 2} and lost == [2]
    said = "A publisher of /image has incompatible QoS: durability; nothing passes between them."
    assert lines == [see(said, Symptom.QOS)]
    assert events.standing() == []
    events.clear()
    assert events.counts() == {}
