"""The faults of input, requests and tf once more, with lsm-tiny in the process instead of the stub."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = [pytest.mark.ros, pytest.mark.slow]
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from finite_messages import non_finite_fields
from lsm_perception.conversions.poses import transform_message
from lsm_perception_msgs.msg import ResultCode
from lsm_perception_msgs.srv import GetQueries, QueryText, SetQueries, Stats
from node_process import ACTIVE, NodeProcess
from robot import FRAME, Robot, image_message
from synthetic_world import View
from tf2_msgs.msg import TFMessage
from walker import Walker

QUERIES = ["wall", "floor"]


@pytest.fixture(scope="module")
def real(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    log = tmp_path_factory.mktemp("real") / "node.log"
    process = NodeProcess(log, "--ros-args", "-p", f"queries.texts:={QUERIES}", "-p", "odometry.source:=tf")
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robot(rclpy_session: None) -> Iterator[Robot]:
    client = Robot()
    yield client
    client.close()


@pytest.fixture(scope="module")
def walker(real: NodeProcess, robot: Robot, stub_views: list[View]) -> Walker:
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    walker = Walker(robot, stub_views)
    assert walker.walk_until(lambda: len(robot.messages("segmentation/label")) >= 2, 60.0), real.text
    return walker


def still_works(real: NodeProcess, robot: Robot, walker: Walker) -> None:
    """New keyframes give masks, and questions are answered."""
    seen = len(robot.messages("segmentation/label"))
    assert walker.walk_until(lambda: len(robot.messages("segmentation/label")) > seen, 60.0), real.text
    assert robot.call(QueryText, "query_text", 30.0, texts=["door"]).success
    assert real.alive and "Traceback" not in real.text


def test_noise_and_blank_images(real: NodeProcess, robot: Robot, walker: Walker) -> None:
    rng = np.random.default_rng(0)
    for kind in ("noise", "black", "white", "noise"):
        view = walker.next()
        rgb = rng.integers(0, 255, view.rgb.shape, np.uint8)
        if kind != "noise":
            rgb[:] = 0 if kind == "black" else 255
        robot.images.publish(image_message(rgb, view.stamp_ns))
        wait_until(lambda: False, 0.3)
    still_works(real, robot, walker)
    stats = robot.call(Stats, "stats")
    drops = {entry.reason: entry.count for entry in stats.dropped}
    assert stats.delivered == stats.used + sum(drops.values()) and drops["blank"] >= 2


@pytest.mark.parametrize(
    "texts", [[], [""], ["x" * 100_000], ["cha\x07ir"], ["chair", "chair"], [f"thing {i}" for i in range(1000)]]
)
def test_bad_requests(real: NodeProcess, robot: Robot, walker: Walker, texts: list[str]) -> None:
    reply = robot.call(QueryText, "query_text", texts=texts)
    assert (reply.success, reply.code) == (False, ResultCode.BAD_REQUEST) and reply.message
    if texts:
        assert not robot.call(SetQueries, "set_queries", texts=texts).success
    assert list(robot.call(GetQueries, "get_queries").texts) == QUERIES


def test_random_texts_do_not_grow_the_node(real: NodeProcess, robot: Robot, walker: Walker) -> None:
    rng = np.random.default_rng(0)

    def ask(count: int) -> None:
        for _ in range(count):
            texts = ["".join(chr(97 + c) for c in rng.integers(0, 26, 60)) for _ in range(4)]
            assert robot.call(QueryText, "query_text", 60.0, texts=texts).success

    ask(10)
    warm_mib = real.resident_mib()
    ask(40)
    assert real.resident_mib() < 1.05 * warm_mib


def test_broken_tf(real: NodeProcess, robot: Robot, walker: Walker) -> None:
    for w in (math.nan, 0.0, 2.0):
        message = transform_message(np.eye(4), "odom", FRAME, walker.next().stamp_ns)
        message.transform.rotation.w = w
        robot.tf.publish(TFMessage(transforms=[message]))
    still_works(real, robot, walker)


def test_nothing_that_is_not_finite_was_published(real: NodeProcess, robot: Robot, walker: Walker) -> None:
    assert robot.messages("keyframes") and robot.messages("segmentation/score")
    for name in robot.heard:
        for message in robot.messages(name):
            if name == "tf" and any(t.child_frame_id == FRAME for t in message.transforms):
                continue  # this robot's own
            assert non_finite_fields(message, depth_image=name == "depth/image") == [], name
