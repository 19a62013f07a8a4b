"""Fault 14: cycles of configure, activate, deactivate and cleanup leave nothing behind in the real process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_process import NodeProcess, StubProcess
from process_census import cycle
from robot import Robot
from supervisor import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, Supervisor
from synthetic_world import View
from walker import Walker

# In the first cycles allocators and DDS reach their working size. Then one cycle's leak would show as a slope;
# the figures themselves move by some 10 MiB, since a freed model leaves holes that the next one does not fill.
SETTLED_CYCLES = 10
MAX_GROWTH_MIB = 40.0
MAX_SLOPE_MIB = 0.1


@pytest.fixture
def supervisor(rclpy_session: None) -> Iterator[Supervisor]:
    out = Supervisor()
    yield out
    out.close()


@pytest.fixture
def process(rclpy_session: None, tmp_path: Path, supervisor: Supervisor) -> Iterator[StubProcess]:
    out = StubProcess(tmp_path, {"autostart": False})
    supervisor.wait_for_node()
    yield out
    out.end()


def test_twenty_cycles_leave_no_thread_and_no_descriptor(process: StubProcess, supervisor: Supervisor) -> None:
    cycle(process, supervisor, 8)
    census = cycle(process, supervisor, 12)
    assert len(set(census.descriptors)) == 1, census.text()
    assert max(census.threads) <= census.threads[0] + 1, census.text()  # the pool may start its last thread late
    assert census.growth_mib() < MAX_GROWTH_MIB, census.text()
    assert "Traceback" not in process.text and process.stop() < 5.0


@pytest.mark.slow
def test_two_hundred_cycles_are_flat(process: StubProcess, supervisor: Supervisor) -> None:
    cycle(process, supervisor, SETTLED_CYCLES)
    census = cycle(process, supervisor, 200)
    print(census.text())
    assert len(set(census.descriptors)) == 1, census.text()
    assert max(census.threads) <= census.threads[0] + 1, census.text()
    assert census.slope_mib_per_cycle() < MAX_SLOPE_MIB and census.growth_mib() < MAX_GROWTH_MIB, census.text()
    assert "Traceback" not in process.text and process.stop() < 5.0


@pytest.mark.slow
def test_cycles_with_the_real_model_are_flat(rclpy_session: None, tmp_path: Path, supervisor: Supervisor) -> None:
    process = NodeProcess(tmp_path / "node.log", "--ros-args", "-p", "autostart:=false")
    try:
        supervisor.wait_for_node()
        cycle(process, supervisor, 5)
        census = cycle(process, supervisor, 15)
        print(census.text())
        assert len(set(census.descriptors)) == 1 and max(census.threads) <= census.threads[0] + 1, census.text()
        assert census.growth_mib() < MAX_GROWTH_MIB, census.text()
        assert "Traceback" not in process.text and process.stop() < 5.0
    finally:
        process.end()


def test_transitions_in_the_middle_of_a_stream_crash_nothing_and_the_next_images_work(
    process: StubProcess, supervisor: Supervisor, stub_views: list[View]
) -> None:
    robot = Robot(("points",))
    walker = Walker(robot, stub_views)
    try:
        assert supervisor.change(CONFIGURE) and supervisor.change(ACTIVATE)
        process.behave(delay_s=0.1)
        for _ in range(6):
            assert wait_until(lambda: robot.images.get_subscription_count() > 0)
            future = None
            # Images every few milliseconds, so subscriptions go away under callbacks that run.
            for _ in range(40):
                walker.step(pause_s=0.003)
                future = future or supervisor.ask(DEACTIVATE)
            assert future is not None and wait_until(future.done, 20.0) and future.result().success, process.text
            assert supervisor.change(CLEANUP) and supervisor.change(CONFIGURE) and supervisor.change(ACTIVATE)
        process.behave()
        robot.forget()
        assert wait_until(lambda: robot.images.get_subscription_count() > 0)
        assert walker.walk_until(lambda: len(robot.messages("points")) > 0), process.text
        assert process.alive and "Traceback" not in process.text, process.text
        assert process.stop() < 5.0
    finally:
        robot.close()
