"""Fault 8: a bag that loops, a clock that stands still, runs fast or never comes: said once, then on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from clock_source import ClockSource
from diagnostics_reader import WARN, statuses, value, wait_for_status
from lsm_perception.conversions import stamp_to_ns
from lsm_perception_msgs.msg import Keyframe
from node_process import ACTIVE, StubProcess
from restamp import restamped
from robot import Robot
from synthetic_world import View

SECOND = 1_000_000_000
START = 1_600_000_000 * SECOND  # years ago by the machine's clock
STARTING_ANEW = "Starting anew"
NO_DATA_S = 2.0
CPU_TICKS_PER_S = 100


@pytest.fixture(scope="module")
def simulated(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    """A node with use_sim_time; images more than a second older than its clock are stale."""
    parameters = {
        "use_sim_time": True,
        "odometry.source": "none",
        "input.no_data_s": NO_DATA_S,
        "input.max_age_s": 1.0,
    }
    process = StubProcess(tmp_path_factory.mktemp("simulated"), parameters)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def clock(robot: Robot) -> Iterator[ClockSource]:
    out = ClockSource(robot.client, START)
    yield out
    out.close()


@pytest.fixture
def running(simulated: StubProcess, robot: Robot, clock: ClockSource) -> StubProcess:
    """The node with /clock at a time no test has used yet, and nothing on its way."""
    assert wait_until(lambda: robot.images.get_subscription_count() > 0)
    clock.set(clock.now_ns() + 100 * SECOND, rate=1.0)
    assert wait_until(lambda: clock_state(robot) == "simulated", 20)
    time.sleep(2.1)  # a jump noticed now is another one than that of the test before
    robot.forget()
    assert wait_until(lambda: len(statuses(robot, "input")) > 0)
    return simulated


def clock_state(robot: Robot) -> str:
    heard = statuses(robot, "input")
    return value(heard[-1], "clock") if heard else ""


def decisions(robot: Robot) -> list[Keyframe]:
    return [m for m in robot.messages("keyframes") if m.action != Keyframe.REMOVED]


def walk(robot: Robot, clock: ClockSource, views: Sequence[View], pause_s: float = 0.1) -> list[View]:
    """Send views at the clock's time, and return them with their stamps."""
    sent = []
    for view in views:
        (now,) = restamped([view], clock.now_ns())
        robot.send(now)
        sent.append(now)
        time.sleep(pause_s)
    return sent


def accepted(robot: Robot, views: Sequence[View]) -> bool:
    """Whether there is an accepted pair of two of these images."""
    stamps = {view.stamp_ns for view in views}
    return any(
        p.accepted and stamp_to_ns(p.header.stamp) in stamps and stamp_to_ns(p.reference_stamp) in stamps
        for p in robot.messages("pair_pose")
    )


def test_without_clock_the_node_says_so_works_and_does_not_spin(
    robot: Robot, stub_views: list[View], tmp_path: Path
) -> None:
    node = StubProcess(
        tmp_path, {"use_sim_time": True, "odometry.source": "none", "input.no_data_s": 1.0, "input.max_age_s": 1.0}
    )
    try:
        node.wait_for(ACTIVE)
        assert wait_until(lambda: robot.images.get_subscription_count() > 0)
        for view in stub_views[:14]:
            robot.send(view)
            time.sleep(0.1)
        assert wait_until(lambda: accepted(robot, stub_views[:14])), node.text
        complaint = wait_for_status(robot, "input", lambda s: "/clock" in s.message)
        assert complaint.level == WARN and value(complaint, "clock") == "unset"
        before = cpu_ticks(node)
        time.sleep(3.0)
        assert cpu_ticks(node) - before < 0.5 * 3.0 * CPU_TICKS_PER_S
        assert node.alive and node.text.count("nothing comes on /clock") == 1 and "Traceback" not in node.text
    finally:
        node.end()


def test_images_are_as_old_as_the_simulated_clock_says(
    running: StubProcess, robot: Robot, clock: ClockSource, stub_views: list[View]
) -> None:
    sent = walk(robot, clock, stub_views[:12])
    assert wait_until(lambda: accepted(robot, sent)), running.text
    (old,) = restamped(stub_views[20:21], clock.now_ns() - 3 * SECOND)
    robot.send(old)
    assert wait_until(lambda: decisions(robot)[-1].reason == "stale"), decisions(robot)[-1]
    assert wait_until(lambda: "input.max_age_s" in running.text)
    again = walk(robot, clock, stub_views[12:20])
    assert wait_until(lambda: accepted(robot, again)), running.text


def test_a_bag_that_loops_resets_once_and_goes_on_within_a_pair(
    running: StubProcess, robot: Robot, clock: ClockSource, stub_views: list[View]
) -> None:
    lines, start_ns = running.text.count(STARTING_ANEW), clock.now_ns()
    first = walk(robot, clock, stub_views[:15])
    assert wait_until(lambda: accepted(robot, first)), running.text
    clock.set(start_ns)
    late = restamped(stub_views[15:17], first[-1].stamp_ns + 50_000_000)
    time.sleep(0.2)
    for view in late:  # of the end of the bag, still on their way when it began again
        robot.send(view)
        time.sleep(0.05)
    words = len(decisions(robot))
    second = walk(robot, clock, stub_views[:12])
    assert wait_until(lambda: accepted(robot, second)), running.text
    assert running.text.count(STARTING_ANEW) == lines + 1, running.text
    assert "time jumped back by" in running.text
    removed = [m for m in robot.messages("keyframes") if m.action == Keyframe.REMOVED]
    assert removed and {m.reason for m in removed} == {Keyframe.REASON_RESET}
    after = [w for w in decisions(robot)[words:] if stamp_to_ns(w.header.stamp) in {v.stamp_ns for v in second}]
    assert [w.reason for w in after].count(Keyframe.REASON_FIRST) == 1
    assert [w.reason for w in after].index(Keyframe.REASON_FIRST) <= 1
    assert not accepted(robot, late) and "Traceback" not in running.text


def test_a_clock_that_stands_still_is_no_alarm(
    running: StubProcess, robot: Robot, clock: ClockSource, stub_views: list[View]
) -> None:
    before = walk(robot, clock, stub_views[:10])
    assert wait_until(lambda: accepted(robot, before)), running.text
    clock.set(rate=0.0)
    robot.forget()
    assert wait_until(lambda: clock_state(robot) == "standing", 20)
    logged = len(running.text)
    paused = len(statuses(robot, "input"))
    time.sleep(NO_DATA_S + 1.5)
    assert not [s for s in statuses(robot, "input")[paused:] if s.level == WARN], statuses(robot, "input")[-1]
    clock.set(rate=1.0)
    assert wait_until(lambda: clock_state(robot) == "simulated", 20)
    assert "no image on" not in running.text[logged:].lower()
    after = walk(robot, clock, stub_views[10:20])
    assert wait_until(lambda: accepted(robot, [*before, *after])), running.text
    assert STARTING_ANEW not in running.text[logged:] and "Traceback" not in running.text
    assert running.text.count("stands still") == 1 and running.text.count("runs again") == 1


def test_five_times_the_speed(
    running: StubProcess, robot: Robot, clock: ClockSource, stub_views: list[View]
) -> None:
    lines = running.text.count(STARTING_ANEW)
    clock.set(rate=5.0)
    sent = walk(robot, clock, stub_views[:20], pause_s=0.03)
    assert wait_until(lambda: accepted(robot, sent)), running.text
    # The first one comes 100 s after the images of the test before, which could be a wrong stamp.
    assert [w.reason for w in decisions(robot)].count("bad_stamp") <= 1
    assert running.text.count(STARTING_ANEW) == lines and running.alive


def cpu_ticks(node: StubProcess) -> int:
    """Return the processor time a process has used, in ticks."""
    fields = Path(f"/proc/{node.process.pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    return int(fields[11]) + int(fields[12])
