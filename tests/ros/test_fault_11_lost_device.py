"""Fault 11: the device is lost. The node is unconfigured or the process ends with 3: never a zombie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from diagnostics_reader import ERROR, statuses
from lsm_perception_msgs.srv import QueryText
from node_process import ACTIVE, StubProcess
from robot import Robot
from supervisor import ACTIVATE, CONFIGURE, Supervisor
from synthetic_world import View
from walker import Walker

EXIT_DEVICE_LOST = 3


@pytest.fixture
def supervisor(rclpy_session: None) -> Iterator[Supervisor]:
    out = Supervisor()
    yield out
    out.close()


@pytest.fixture
def client(rclpy_session: None) -> Iterator[Robot]:
    out = Robot(("points", "diagnostics"))
    yield out
    out.close()


@pytest.fixture
def lost(rclpy_session: None, tmp_path: Path) -> Iterator[StubProcess]:
    """A node that stays when the device is lost."""
    process = StubProcess(tmp_path, {"odometry.source": "none"})
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture
def leaving(rclpy_session: None, tmp_path: Path) -> Iterator[StubProcess]:
    """A node that ends when the device is lost."""
    process = StubProcess(tmp_path, {"odometry.source": "none", "fatal_action": "exit"})
    process.wait_for(ACTIVE)
    yield process
    process.end()


def test_unconfigure_tells_diagnostics_and_the_node_can_be_configured_again(
    lost: StubProcess, client: Robot, supervisor: Supervisor, stub_views: list[View]
) -> None:
    walker = Walker(client, stub_views)
    assert wait_until(lambda: client.images.get_subscription_count() > 0)
    assert walker.walk_until(lambda: len(client.messages("points")) > 0), lost.text
    lost.behave(fail="sticky")
    assert walker.walk_until(lambda: "the node is unconfigured now" in lost.text), lost.text
    supervisor.wait_for_node()
    supervisor.wait_for_state("unconfigured")
    assert "CUDA error: an illegal memory access" in lost.text and "fatal_action: unconfigure" in lost.text
    assert wait_until(lambda: any("the device is lost" in s.message for s in statuses(client, "model")))
    assert statuses(client, "model")[-1].level == ERROR
    assert wait_until(lambda: client.images.get_subscription_count() == 0)
    lost.behave()
    assert supervisor.change(CONFIGURE) and supervisor.change(ACTIVATE)
    client.forget()
    assert wait_until(lambda: client.images.get_subscription_count() > 0)
    assert walker.walk_until(lambda: len(client.messages("points")) > 0), lost.text
    assert "Traceback" not in lost.text


@pytest.mark.slow
def test_a_query_that_finds_the_device_lost_unconfigures_too(
    lost: StubProcess, client: Robot, supervisor: Supervisor, stub_views: list[View]
) -> None:
    walker = Walker(client, stub_views)
    assert wait_until(lambda: client.images.get_subscription_count() > 0)
    assert walker.walk_until(lambda: len(client.messages("points")) > 0), lost.text
    lost.behave(fail="sticky", fail_in="query")
    assert not client.call(QueryText, "query_text", texts=["a word never asked before"]).success
    supervisor.wait_for_node()
    supervisor.wait_for_state("unconfigured")
    assert "Traceback" not in lost.text


@pytest.mark.slow
def test_a_device_lost_while_configuring_leaves_the_node_unconfigured(
    rclpy_session: None, tmp_path: Path, supervisor: Supervisor
) -> None:
    process = StubProcess(tmp_path, {"autostart": False})
    try:
        supervisor.wait_for_node()
        process.behave(fail="sticky", fail_in="load")
        assert not supervisor.change(CONFIGURE)
        assert supervisor.state() == "unconfigured"
        process.wait_for("Cannot configure: AcceleratorError")
        process.behave()
        assert supervisor.change(CONFIGURE)
        assert process.stop() < 5.0
    finally:
        process.end()


def test_a_device_lost_while_configuring_ends_the_process_when_told_so(rclpy_session: None, tmp_path: Path) -> None:
    sticky = {"fail": "sticky", "fail_in": "load"}
    process = StubProcess(tmp_path, {"fatal_action": "exit"}, behaviour=sticky)
    try:
        assert process.process.wait(60) == EXIT_DEVICE_LOST, process.text
        assert "Cannot configure" in process.text and "Traceback" not in process.text
    finally:
        process.end()


def test_exit_ends_the_process_with_its_own_code(
    leaving: StubProcess, client: Robot, stub_views: list[View]
) -> None:
    walker = Walker(client, stub_views)
    assert wait_until(lambda: client.images.get_subscription_count() > 0)
    leaving.behave(fail="sticky")
    assert walker.walk_until(lambda: not leaving.alive), leaving.text
    assert leaving.process.wait(10) == EXIT_DEVICE_LOST, leaving.text
    assert "fatal_action: exit" in leaving.text and "Traceback" not in leaving.text
