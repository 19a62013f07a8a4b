"""Fault 14: SIGINT and SIGTERM end the process with 0 within 5 s whatever it does; SIGKILL spoils no later one."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from node_process import ACTIVE, StubProcess
from robot import Robot
from supervisor import CLEANUP, CONFIGURE, DEACTIVATE, Supervisor
from synthetic_world import View
from walker import Walker

EXIT_LIMIT_S = 5.0
LONG_S = 60.0  # far longer than a test waits: only a process that gives up waiting can pass
Prepare = Callable[["Scene"], None]


class Scene:
    """The process, and those around it that bring it into a situation."""

    def __init__(self, folder: Path, views: list[View]) -> None:
        self.folder = folder
        self.views = views
        self.process: StubProcess | None = None
        self._robot: Robot | None = None
        self._supervisor: Supervisor | None = None

    def start(self, **parameters: object) -> StubProcess:
        self.process = StubProcess(self.folder, {"odometry.source": "none"} | parameters)
        return self.process

    def start_active(self) -> StubProcess:
        process = self.start()
        process.wait_for(ACTIVE)
        return process

    def walker(self) -> Walker:
        self._robot = Robot(("points",))
        assert wait_until(lambda: self.robot.images.get_subscription_count() > 0)
        return Walker(self.robot, self.views)

    @property
    def robot(self) -> Robot:
        assert self._robot is not None
        return self._robot

    def supervisor(self) -> Supervisor:
        self._supervisor = Supervisor()
        self._supervisor.wait_for_node()
        return self._supervisor

    def close(self) -> None:
        if self.process is not None:
            self.process.end()
        for client in (self._robot, self._supervisor):
            if client is not None:
                client.close()


@pytest.fixture
def scene(rclpy_session: None, tmp_path: Path, stub_views: list[View]) -> Iterator[Scene]:
    out = Scene(tmp_path, stub_views)
    yield out
    out.close()


def idle(scene: Scene) -> None:
    scene.start_active()


def unconfigured(scene: Scene) -> None:
    scene.start(autostart=False)
    scene.supervisor()


def inside_inference(scene: Scene) -> None:
    process = scene.start_active()
    walker = scene.walker()
    process.behave(delay_s=LONG_S, note="predict")
    assert walker.walk_until(lambda: "predict begins" in process.text, 20.0), process.text


def inside_configure(scene: Scene) -> None:
    process = scene.start(autostart=False)
    supervisor = scene.supervisor()
    process.behave(load_s=LONG_S, note="load")
    supervisor.ask(CONFIGURE)
    process.wait_for("load begins")


def inside_autostart(scene: Scene) -> None:
    scene.process = StubProcess(scene.folder, behaviour={"load_s": LONG_S, "note": "load"})
    scene.process.wait_for("load begins")


def inside_cleanup(scene: Scene) -> None:
    process = scene.start_active()
    supervisor = scene.supervisor()
    assert supervisor.change(DEACTIVATE)
    process.behave(close_s=LONG_S, note="close")
    supervisor.ask(CLEANUP)
    process.wait_for("close begins")


def in_a_flood(scene: Scene) -> None:
    process = scene.start_active()
    walker = scene.walker()
    process.behave(delay_s=0.2)
    for _ in range(300):
        walker.step(pause_s=0.002)


@pytest.mark.parametrize(
    ("prepare", "number"),
    [
        (inside_inference, signal.SIGINT),
        (inside_configure, signal.SIGTERM),
        (inside_cleanup, signal.SIGTERM),
        (in_a_flood, signal.SIGINT),
        pytest.param(inside_inference, signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(inside_configure, signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(inside_cleanup, signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(in_a_flood, signal.SIGTERM, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_process_whatever_it_does(scene: Scene, prepare: Prepare, number: int) -> None:
    prepare(scene)
    assert scene.process is not None
    elapsed_s = scene.process.stop(number)
    print(f"{prepare.__name__}, signal {number}: ended after {elapsed_s:.2f} s")
    assert elapsed_s < EXIT_LIMIT_S


@pytest.mark.parametrize(
    "prepare", [inside_autostart, *(pytest.param(p, marks=pytest.mark.slow) for p in (idle, unconfigured))]
)
def test_a_signal_twice_in_a_row_is_as_good_as_one(scene: Scene, prepare: Prepare) -> None:
    prepare(scene)
    process = scene.process
    assert process is not None
    process.process.send_signal(signal.SIGINT)
    assert process.stop(signal.SIGTERM) < EXIT_LIMIT_S


def test_killed_and_started_again_it_works_at_once(scene: Scene) -> None:
    process = scene.start_active()
    walker = scene.walker()
    assert walker.walk_until(lambda: len(scene.robot.messages("points")) > 0), process.text
    process.kill()
    scene.robot.forget()
    again = scene.start_active()
    assert walker.walk_until(lambda: len(scene.robot.messages("points")) > 0), again.text
    assert again.stop() < EXIT_LIMIT_S
