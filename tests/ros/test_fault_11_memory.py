"""Fault 11: memory runs out in the model. Some is freed, the call is repeated once, the stream goes on."""

from __future__ import annotations

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from diagnostics_reader import WARN, fresh_status, value, wait_for_status
from lsm_perception_msgs.msg import Keyframe
from lsm_perception_msgs.srv import QueryText, Stats
from node_process import StubProcess
from robot import Robot
from synthetic_world import View
from walker import Walker


@pytest.fixture(scope="module")
def walker(robot: Robot, stub: StubProcess, stub_views: list[View]) -> Walker:
    """A robot that has walked until the node gave a cloud."""
    out = Walker(robot, stub_views)
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    assert out.walk_until(lambda: len(robot.messages("points")) > 0), stub.text
    return out


def dropped(robot: Robot, reason: str) -> int:
    return sum(d.count for d in robot.call(Stats, "stats").dropped if d.reason == reason)


def kept_ids(robot: Robot) -> set[int]:
    ids: set[int] = set()
    for message in robot.messages("keyframes"):
        if message.action in (Keyframe.ADDED, Keyframe.REFRESHED):
            ids.add(message.id)
        elif message.action == Keyframe.REMOVED:
            ids.discard(message.id)
    return ids


@pytest.mark.parametrize(("failure", "name"), [("oom", "OutOfMemoryError"), ("memory", "MemoryError")])
def test_memory_that_runs_out_once_costs_no_image(
    stub: StubProcess, robot: Robot, walker: Walker, failure: str, name: str
) -> None:
    lost = dropped(robot, "backend_error") + dropped(robot, "internal")
    before = int(value(fresh_status(robot, "model"), "out_of_memory"))
    stub.behave(fail=failure, times=1)
    assert walker.walk_until(lambda: f"last: {name}" in last(robot)), last(robot)
    status = wait_for_status(robot, "model", lambda s: int(value(s, "out_of_memory")) == before + 1)
    assert status.level == WARN and "DEGRADED" in status.message and name in status.message, status.message
    assert "keeps at most" in status.message
    clouds = len(robot.messages("points"))
    assert walker.walk_until(lambda: len(robot.messages("points")) > clouds + 2), stub.text
    assert dropped(robot, "backend_error") + dropped(robot, "internal") == lost
    assert "Memory ran out" in stub.text and "Traceback" not in stub.text and stub.alive


def last(robot: Robot) -> str:
    return str(wait_for_status(robot, "model", lambda s: True).message)


def test_memory_that_stays_short_drops_images_with_a_reason_and_halves_the_store(
    stub: StubProcess, robot: Robot, walker: Walker
) -> None:
    lost = dropped(robot, "backend_error")
    stub.behave(fail="oom")
    assert walker.walk_until(lambda: dropped(robot, "backend_error") >= lost + 5, 60.0), stub.text
    wait_for_status(robot, "input", lambda s: "Memory ran out" in value(s, "last_problem"))
    status = wait_for_status(robot, "model", lambda s: "keeps at most 2 keyframes" in s.message)
    assert value(status, "state") == "active"
    stub.behave()
    clouds = len(robot.messages("points"))
    assert walker.walk_until(lambda: len(robot.messages("points")) > clouds + 2), stub.text
    assert walker.walk_until(lambda: len(kept_ids(robot)) <= 2), kept_ids(robot)
    assert stub.alive and "Traceback" not in stub.text


def test_memory_that_runs_out_in_a_query_is_freed_and_the_query_answered(
    stub: StubProcess, robot: Robot, walker: Walker
) -> None:
    before = int(value(fresh_status(robot, "model"), "out_of_memory"))
    stub.behave(fail="oom", fail_in="query", times=1)
    reply = robot.call(QueryText, "query_text", texts=["a word never asked before"])
    assert reply.success, reply.message
    wait_for_status(robot, "model", lambda s: int(value(s, "out_of_memory")) == before + 1)
