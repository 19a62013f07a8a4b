"""Fault 9: publishers of every QoS are heard; what cannot connect is named with topic, policy and peer."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from diagnosis import diagnosed, newest
from lsm_perception_msgs.srv import Stats
from node_process import ACTIVE, StubProcess
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from robot import Robot, image_message
from sensor_msgs.msg import Image, PointCloud2
from synthetic_world import View
from walker import Walker

RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
VOLATILE, LATCHED = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL


@pytest.fixture(scope="module")
def stub(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """A node with two cameras; the second one demands what few publishers offer."""
    parameters = {
        "cameras": ["front", "strict"],
        "diagnostics_period_s": 0.5,
        "odometry.source": "none",
        "qos_overrides./strict/image.subscription.reliability": "reliable",
        "qos_overrides./strict/image.subscription.durability": "transient_local",
    }
    process = StubProcess(tmp_path_factory.mktemp("fault_9"), parameters)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robot(stub: StubProcess) -> Iterator[Robot]:
    client = Robot(("diagnostics", "keyframes", "points"), camera="front")
    yield client
    client.close()


def delivered(robot: Robot) -> int:
    """Return the images that reached the node."""
    return int(robot.call(Stats, "stats").delivered)


@pytest.mark.parametrize("durability", [VOLATILE, LATCHED])
@pytest.mark.parametrize("reliability", [RELIABLE, BEST_EFFORT])
def test_a_publisher_of_any_qos_is_heard(
    stub: StubProcess,
    robot: Robot,
    stub_views: list[View],
    reliability: ReliabilityPolicy,
    durability: DurabilityPolicy,
) -> None:
    before = delivered(robot)
    qos = QoSProfile(depth=5, reliability=reliability, durability=durability)
    publisher = robot.client.create_publisher(Image, "front/image", qos)
    assert wait_until(lambda: publisher.get_subscription_count() == 1)

    def heard() -> bool:
        publisher.publish(image_message(stub_views[0].rgb, time.time_ns()))
        time.sleep(0.1)
        return delivered(robot) > before

    assert wait_until(heard, 20.0)
    robot.client.destroy_publisher(publisher)
    assert newest(robot, "qos").level == 0 and stub.alive


@pytest.mark.parametrize(
    ("reliability", "durability", "told"),
    [
        (BEST_EFFORT, LATCHED, {"reliability": "reliability (offered best effort, requested reliable)"}),
        (RELIABLE, VOLATILE, {"durability": "durability (offered volatile, requested transient local)"}),
    ],
)
def test_a_publisher_that_offers_too_little_is_named(
    stub: StubProcess,
    robot: Robot,
    reliability: ReliabilityPolicy,
    durability: DurabilityPolicy,
    told: dict[str, str],
) -> None:
    ((policy, words),) = told.items()
    qos = QoSProfile(depth=1, reliability=reliability, durability=durability)
    publisher = robot.client.create_publisher(Image, "strict/image", qos)
    line = f"incompatible QoS on /strict/image: {words} with publisher(s) 1 (/robot)"
    fix = f"see qos_overrides./strict/image.subscription.{policy}."
    found = diagnosed(robot, "qos", lambda d: d.level == 1 and line in d.message and fix in d.message)
    assert int(found.values[f"incompatible./strict/image.{policy}"]) == 1
    stub.wait_for(f"incompatible QoS on /strict/image: {words}", 10.0)
    assert line in robot.call(Stats, "stats").message
    robot.client.destroy_publisher(publisher)
    diagnosed(robot, "qos", lambda d: d.level == 0 and "/strict/image" not in d.message)
    assert robot.call(Stats, "stats").message == ""


def test_a_listener_that_asks_too_much_is_named_and_the_others_are_served(
    stub: StubProcess, robot: Robot, stub_views: list[View]
) -> None:
    asks = {
        "durability": QoSProfile(depth=1, durability=LATCHED),
        "deadline": QoSProfile(depth=1, deadline=Duration(seconds=0.5)),
    }
    for policy, qos in asks.items():
        listener = robot.client.create_subscription(PointCloud2, "lsm_perception/points", print, qos)
        line = f"incompatible QoS on /lsm_perception/points: {policy} (offered "
        found = diagnosed(robot, "qos", lambda d, line=line: d.level == 1 and line in d.message)
        assert (
            "with subscription(s) 1 (/robot); see qos_overrides./lsm_perception/points.publisher" in found.message
        )
        assert int(found.values[f"incompatible./lsm_perception/points.{policy}"]) == 1
        stub.wait_for(line, 10.0)
        robot.client.destroy_subscription(listener)
        diagnosed(robot, "qos", lambda d: d.level == 0)
    before = len(robot.messages("points"))
    walker = Walker(robot, stub_views, start_ns=time.time_ns())
    assert walker.walk_until(lambda: len(robot.messages("points")) > before), stub.text


def test_a_publisher_that_offers_enough_is_heard_after_all(
    stub: StubProcess, robot: Robot, stub_views: list[View]
) -> None:
    before = delivered(robot)
    publisher = robot.client.create_publisher(Image, "strict/image", QoSProfile(depth=1, durability=LATCHED))
    assert wait_until(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(image_message(stub_views[3].rgb, time.time_ns()))
    assert wait_until(lambda: delivered(robot) > before)
    assert stub.alive and "Traceback" not in stub.text
