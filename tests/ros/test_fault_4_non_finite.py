"""Fault 4: NaN and infinity from the model. The pair is discarded and the stream goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from finite_messages import non_finite_fields
from lsm_perception_msgs.msg import Keyframe, Scale
from lsm_perception_msgs.srv import Stats
from node_process import ACTIVE, StubProcess
from poison import PARTS
from robot import Robot
from synthetic_world import View
from walker import Walker

VALUES = ("nan", "inf", "-inf")


@pytest.fixture(scope="module")
def metric_stub(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """A node that is given odometry, so that every topic has something to say."""
    process = StubProcess(tmp_path_factory.mktemp("stub"), {"queries.texts": ["wall", "floor"]})
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def listener(rclpy_session: None) -> Iterator[Robot]:
    """A robot that hears everything."""
    client = Robot()
    yield client
    client.close()


@pytest.fixture(scope="module")
def walker(metric_stub: StubProcess, listener: Robot, stub_views: list[View]) -> Walker:
    """A walk that has come as far as METRIC."""
    assert wait_until(lambda: listener.images.get_subscription_count() > 0)
    listener.send_odometry([])
    walker = Walker(listener, stub_views, odometry=True)

    def everything() -> bool:
        seen = [m.state for m in listener.messages("scale")]
        return Scale.METRIC in seen and all(
            listener.messages(n) for n in ("depth/image", "gaussians", "detections", "markers")
        )

    assert walker.walk_until(everything, 60.0), metric_stub.text
    return walker


def rejected(listener: Robot) -> int:
    """Return how many candidates were given up because of the model's numbers."""
    return sum(m.action == Keyframe.REJECTED and m.reason == "non_finite" for m in listener.messages("keyframes"))


def accepted(listener: Robot) -> int:
    """Return how many pairs were accepted."""
    return sum(m.accepted for m in listener.messages("pair_pose"))


@pytest.mark.parametrize(
    ("part", "value"),
    [(part, VALUES[i % len(VALUES)]) for i, part in enumerate(("encoded", *PARTS))],
    ids=lambda v: str(v).replace(" ", "_"),
)
def test_the_pair_is_discarded_and_the_next_one_works(
    metric_stub: StubProcess, listener: Robot, walker: Walker, part: str, value: str
) -> None:
    metric_stub.behave(poison=part, poison_value=value)
    before = rejected(listener)
    assert walker.walk_until(lambda: rejected(listener) > before), metric_stub.text
    while_bad = accepted(listener)
    metric_stub.behave()
    assert walker.walk_until(lambda: accepted(listener) > while_bad), metric_stub.text
    assert metric_stub.alive and "Traceback" not in metric_stub.text
    assert "The model's answer is not finite: " in metric_stub.text


def test_nothing_that_is_not_finite_was_ever_published(listener: Robot, walker: Walker) -> None:
    heard = {name: listener.messages(name) for name in listener.heard}
    assert all(heard[name] for name in ("points", "map_points", "gaussians", "path", "detections", "markers", "tf"))
    for name, messages in heard.items():
        for message in messages:
            assert non_finite_fields(message, depth_image=name == "depth/image") == [], name


def test_it_is_counted_and_the_account_adds_up(metric_stub: StubProcess, listener: Robot, walker: Walker) -> None:
    stats = listener.call(Stats, "stats")
    drops = {entry.reason: entry.count for entry in stats.dropped}
    assert drops["non_finite"] == rejected(listener) >= 1 + len(PARTS)
    assert stats.delivered == stats.used + sum(drops.values())
    counted = lambda: [  # noqa: E731
        value.value
        for message in listener.messages("diagnostics")
        for status in message.status
        for value in status.values
        if value.key == "dropped.non_finite"
    ]
    assert wait_until(lambda: str(drops["non_finite"]) in counted())


def test_lines_in_the_log_are_throttled(metric_stub: StubProcess, listener: Robot, walker: Walker) -> None:
    assert 1 <= metric_stub.text.count("The model's answer is not finite") < rejected(listener)
