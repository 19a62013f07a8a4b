"""Lifecycle requests over DDS: each gets a reply, impossible ones are refused, several at once take turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_process import ACTIVE, StubProcess
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from robot import Robot
from supervisor import ACTIVATE, CLEANUP, CONFIGURE, DEACTIVATE, SHUTDOWN, Supervisor
from synthetic_world import View
from walker import Walker


@pytest.fixture
def supervisor(rclpy_session: None) -> Iterator[Supervisor]:
    out = Supervisor()
    yield out
    out.close()


@pytest.fixture
def robot(rclpy_session: None) -> Iterator[Robot]:
    out = Robot(("points",))
    yield out
    out.close()


def test_impossible_and_unknown_requests_are_refused_with_a_reply(
    rclpy_session: None, tmp_path: Path, supervisor: Supervisor
) -> None:
    process = StubProcess(tmp_path, {"autostart": False})
    try:
        supervisor.wait_for_node()
        for transition in (ACTIVATE, DEACTIVATE, CLEANUP, SHUTDOWN["active"], 200):
            assert not supervisor.change(transition), transition
            assert supervisor.state() == "unconfigured"
        assert supervisor.change(CONFIGURE) and not supervisor.change(CONFIGURE)
        assert supervisor.state() == "inactive"
        assert supervisor.change(SHUTDOWN["inactive"]) and supervisor.state() == "finalized"
        assert not supervisor.change(CONFIGURE) and process.alive
        assert "Traceback" not in process.text and "is refused in state" in process.text
        assert process.stop() < 5.0
    finally:
        process.end()


def test_requests_and_parameters_during_autostart_wait_for_their_turn(
    rclpy_session: None, tmp_path: Path, supervisor: Supervisor, robot: Robot
) -> None:
    process = StubProcess(tmp_path, behaviour={"load_s": 8.0, "note": "load"})
    try:
        process.wait_for("load begins")
        supervisor.wait_for_node(in_transition=True)
        assert supervisor.state() in ("unconfigured", "configuring") and "is ready on" not in process.text
        futures = [supervisor.ask(CONFIGURE) for _ in range(3)]
        change = Parameter("points.max_points", value=500).to_parameter_msg()
        assert robot.call(SetParameters, "set_parameters", parameters=[change]).results[0].successful
        assert wait_until(lambda: all(f.done() for f in futures), 30.0)
        assert not any(f.result().success for f in futures)  # autostart had done it
        assert supervisor.state() == "active" and process.text.count("is ready on") == 1
        assert "Traceback" not in process.text
        assert process.stop() < 5.0
    finally:
        process.end()


@pytest.mark.slow
def test_the_device_is_not_freed_while_an_inference_uses_it(
    rclpy_session: None, tmp_path: Path, supervisor: Supervisor, robot: Robot, stub_views: list[View]
) -> None:
    process = StubProcess(tmp_path, {"odometry.source": "none"})
    try:
        process.wait_for(ACTIVE)
        walker = Walker(robot, stub_views)
        assert wait_until(lambda: robot.images.get_subscription_count() > 0)
        supervisor.wait_for_node()
        process.behave(delay_s=20.0, note="predict")
        assert walker.walk_until(lambda: "predict begins" in process.text), process.text
        assert supervisor.change(DEACTIVATE) and "An inference is still running" in process.text
        assert not supervisor.change(CLEANUP) and supervisor.state() == "inactive"
        assert "Cannot clean up: an inference is still running" in process.text
        process.behave()
        assert wait_until(lambda: supervisor.change(CLEANUP), 60.0) and supervisor.state() == "unconfigured"
        assert robot.messages("points") == []  # what was in work at deactivation is not published
        assert supervisor.change(CONFIGURE) and supervisor.change(ACTIVATE)
        assert wait_until(lambda: robot.images.get_subscription_count() > 0)
        assert walker.walk_until(lambda: len(robot.messages("points")) > 0), process.text
        assert "Traceback" not in process.text
    finally:
        process.end()
