"""Fault 7: stamps that are zero, repeated, out of order or an hour off; good ones are kept to the nanosecond."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from diagnostics_reader import statuses, value
from lsm_perception.conversions import stamp_to_ns
from lsm_perception_msgs.msg import Keyframe
from lsm_perception_msgs.srv import Reset
from node_process import StubProcess
from restamp import restamped
from robot import Robot
from synthetic_world import View

HOUR = 3_600_000_000_000
STEP = 100_000_003
START = 1_700_000_000_000_000_001
STARTING_ANEW = "Starting anew"


def send(robot: Robot, views: Sequence[View]) -> list[Keyframe]:
    """Send images one at a time, each after the node has said what became of the one before; return its words."""
    words = []
    for view in views:
        before = len(decisions(robot))
        robot.send(view)
        assert wait_until(lambda before=before: len(decisions(robot)) > before), view.stamp_ns
        words.append(decisions(robot)[-1])
    return words


def decisions(robot: Robot) -> list[Keyframe]:
    return [m for m in robot.messages("keyframes") if m.action != Keyframe.REMOVED]


def bad_stamps(robot: Robot) -> int:
    return int(value(statuses(robot, "input")[-1], "dropped.bad_stamp") or 0)


def works_on(robot: Robot, views: Sequence[View]) -> None:
    """The next good images give an accepted pair, whose stamps are those of two of them."""
    pairs = len(robot.messages("pair_pose"))
    send(robot, views)
    assert wait_until(lambda: any(p.accepted for p in robot.messages("pair_pose")[pairs:]))
    pair = [p for p in robot.messages("pair_pose")[pairs:] if p.accepted][-1]
    stamps = {view.stamp_ns for view in views}
    assert stamp_to_ns(pair.header.stamp) in stamps and stamp_to_ns(pair.reference_stamp) in stamps


@pytest.fixture
def fresh(stub: StubProcess, robot: Robot) -> Robot:
    """The node with nothing known, and a client that has heard nothing."""
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    assert robot.call(Reset, "reset").success
    time.sleep(0.3)  # what was sent before is still on its way
    robot.forget()
    assert wait_until(lambda: len(statuses(robot, "input")) > 0)
    return robot


@pytest.mark.parametrize(
    ("stamp_ns", "what"),
    [
        (0, "zero"),
        (START + 3 * STEP, "repeated"),
        (START + 2 * STEP + 1, "out of order"),
        (START + HOUR, "an hour ahead"),
        (START - HOUR, "an hour behind"),
    ],
    ids=["zero", "repeated", "out-of-order", "hour-ahead", "hour-behind"],
)
def test_one_wrong_stamp_costs_one_image_and_nothing_else(
    stub: StubProcess, fresh: Robot, stub_views: list[View], stamp_ns: int, what: str
) -> None:
    views = restamped(stub_views[:12], START, STEP)
    before, lines = bad_stamps(fresh), stub.text.count(STARTING_ANEW)
    send(fresh, views[:4])
    (word,) = send(fresh, [replace(stub_views[20], stamp_ns=stamp_ns)])
    assert (word.action, word.reason) == (Keyframe.REJECTED, "bad_stamp"), what
    assert stamp_to_ns(word.header.stamp) == stamp_ns
    works_on(fresh, views[4:])
    assert wait_until(lambda: bad_stamps(fresh) == before + 1), what
    assert stub.alive and stub.text.count(STARTING_ANEW) == lines
    assert not [m for m in fresh.messages("keyframes") if m.action == Keyframe.REMOVED]
    assert "Traceback" not in stub.text


def test_every_output_has_the_stamp_of_its_image_to_the_nanosecond(
    stub: StubProcess, fresh: Robot, stub_views: list[View]
) -> None:
    views = restamped(stub_views[:14], START, STEP)
    words = send(fresh, views)
    assert [stamp_to_ns(w.header.stamp) for w in words] == [v.stamp_ns for v in views]
    assert wait_until(lambda: len(fresh.messages("points")) >= 2), stub.text
    stamps = {view.stamp_ns for view in views}
    for name in ("points", "pair_pose"):
        assert {stamp_to_ns(m.header.stamp) for m in fresh.messages(name)} <= stamps


def test_two_cameras_with_different_clocks_on_one_topic_never_reset_the_node(
    stub: StubProcess, fresh: Robot, stub_views: list[View]
) -> None:
    lines = stub.text.count(STARTING_ANEW)
    good, other = restamped(stub_views[:12], START, STEP), restamped(stub_views[20:32], START - HOUR, STEP)
    mixed = [view for pair in zip(good, other, strict=True) for view in pair]
    words = send(fresh, mixed)
    assert {w.reason for w in words[1::2]} == {"bad_stamp"}
    assert "bad_stamp" not in {w.reason for w in words[0::2]}
    assert wait_until(lambda: any(p.accepted for p in fresh.messages("pair_pose")))
    assert stub.text.count(STARTING_ANEW) == lines and stub.alive


def test_stamps_that_stay_an_hour_ahead_are_taken_from_the_second_on(
    stub: StubProcess, fresh: Robot, stub_views: list[View]
) -> None:
    lines = stub.text.count(STARTING_ANEW)
    send(fresh, restamped(stub_views[:4], START, STEP))
    ahead = restamped(stub_views[4:14], START + HOUR, STEP)
    words = send(fresh, ahead[:2])
    assert words[0].reason == "bad_stamp" and words[1].reason != "bad_stamp"
    works_on(fresh, ahead[2:])
    assert stub.text.count(STARTING_ANEW) == lines
    assert "jumped ahead" in stub.text


def test_stamps_that_go_back_start_anew_once(stub: StubProcess, fresh: Robot, stub_views: list[View]) -> None:
    """A bag that loops without /clock: one image, one log line, one reset, and a pair of the next images."""
    views = restamped(stub_views[:12], START, STEP)
    lines = stub.text.count(STARTING_ANEW)
    send(fresh, views)
    words = send(fresh, views[:8])
    assert [w.reason for w in words[:2]] == ["bad_stamp", Keyframe.REASON_FIRST]
    assert "bad_stamp" not in {w.reason for w in words[2:]}
    assert wait_until(lambda: any(p.accepted for p in after_reset(fresh, views)))
    assert stub.text.count(STARTING_ANEW) == lines + 1
    removed = [m for m in fresh.messages("keyframes") if m.action == Keyframe.REMOVED]
    assert removed and {m.reason for m in removed} == {Keyframe.REASON_RESET}
    assert stub.alive and "Traceback" not in stub.text


def after_reset(robot: Robot, views: Sequence[View]) -> list:
    """Return the pairs both of whose images came after the last first keyframe."""
    first = [m.id for m in robot.messages("keyframes") if m.reason == Keyframe.REASON_FIRST][-1]
    return [p for p in robot.messages("pair_pose") if p.reference_id >= first]
