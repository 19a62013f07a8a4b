"""Two cameras in one node over DDS: gates, maps and frames of their own, one worker, one account."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception_msgs.msg import Keyframe
from lsm_perception_msgs.srv import Stats
from node_process import ACTIVE, StubProcess
from robot import Robot
from synthetic_world import View
from walker import Walker

LISTEN = ("keyframes", "pair_pose", "points", "scale", "diagnostics")
FRAME_OF = {"left": "left_optical", "right": "right_optical"}


@pytest.fixture(scope="module")
def pair(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StubProcess]:
    parameters = {"odometry.source": "none", "cameras": ["left", "right"], "keyframes.min_interval_s": 0.0}
    process = StubProcess(tmp_path_factory.mktemp("cameras"), parameters)
    process.wait_for(ACTIVE)
    yield process
    process.end()


@pytest.fixture(scope="module")
def robots(rclpy_session: None, pair: StubProcess) -> Iterator[dict[str, Robot]]:
    made = {
        "left": Robot(LISTEN, name="left_driver", camera="left"),
        "right": Robot((), name="right_driver", camera="right"),
    }
    for robot in made.values():
        assert wait_until(lambda robot=robot: robot.images.get_subscription_count() > 0)
    yield made
    for robot in made.values():
        robot.close()


class Drive:
    """Both cameras see the same room, the right one a few views ahead; each has a frame of its own."""

    def __init__(self, robots: dict[str, Robot], views: list[View]) -> None:
        self.robots = robots
        self.ears = robots["left"]
        self.walkers = {name: Walker(robot, views[3 * i :]) for i, (name, robot) in enumerate(robots.items())}
        self.frames = dict(FRAME_OF)
        self.sent = 0

    def send(self, name: str, pause_s: float = 0.1) -> View:
        view = self.walkers[name].next()
        self.robots[name].send(view, self.frames[name])
        self.sent += 1
        time.sleep(pause_s)
        return view

    def accepted(self, name: str) -> list:
        return [m for m in self.ears.messages("pair_pose") if m.accepted and m.camera == name]

    def until(self, done, *names: str, seconds: float = 40.0, pause_s: float = 0.1) -> bool:  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + seconds
        while not done() and time.monotonic() < deadline:
            for name in names:
                self.send(name, pause_s)
        return bool(done())


@pytest.fixture(scope="module")
def drive(robots: dict[str, Robot], stub_views: list[View], pair: StubProcess) -> Drive:
    drive = Drive(robots, stub_views)
    assert drive.until(lambda: all(len(drive.accepted(n)) >= 2 for n in FRAME_OF), *FRAME_OF), pair.text[-3000:]
    return drive


def test_each_camera_has_pairs_frames_and_keyframes_of_its_own(drive: Drive) -> None:
    for name, frame in FRAME_OF.items():
        for message in drive.accepted(name):
            assert message.reference_camera == name
            assert message.image_frame == message.reference_image_frame == frame
            assert message.header.frame_id == f"{name}_lsm_keyframe_unscaled"
            assert message.child_frame_id == f"{name}_lsm_camera_unscaled"
    assert {m.camera for m in drive.ears.messages("keyframes")} == set(FRAME_OF)
    assert {m.header.frame_id for m in drive.ears.messages("keyframes")} == set(FRAME_OF.values())
    assert {m.camera for m in drive.ears.messages("scale")} <= set(FRAME_OF)
    clouds = {f"{name}_lsm_camera_unscaled" for name in FRAME_OF}
    assert drive.until(lambda: {m.header.frame_id for m in drive.ears.messages("points")} == clouds, *FRAME_OF)
    edges = {(t.header.frame_id, t.child_frame_id) for m in drive.ears.messages("tf") for t in m.transforms}
    assert not any(("left" in parent) != ("left" in child) for parent, child in edges)


def test_keyframe_numbers_are_of_one_row(drive: Drive) -> None:
    added = [m for m in drive.ears.messages("keyframes") if m.action == Keyframe.ADDED]
    assert len({m.id for m in added}) == len(added)


def test_each_camera_is_in_diagnostics(drive: Drive) -> None:
    def seen() -> set[str]:
        return {s.name for m in drive.ears.messages("diagnostics")[-3:] for s in m.status}

    assert wait_until(lambda: all(any(name in status for status in seen()) for name in FRAME_OF)), seen()


def test_a_busy_camera_does_not_starve_the_other(drive: Drive, pair: StubProcess) -> None:
    """The model takes 0.3 s; left sends 20 images per second, right two: both go on."""
    before = {name: len(drive.accepted(name)) for name in FRAME_OF}
    pair.behave(delay_s=0.3)

    def both() -> bool:
        return all(len(drive.accepted(name)) >= before[name] + 2 for name in FRAME_OF)

    deadline = time.monotonic() + 60
    while not both() and time.monotonic() < deadline:
        for _ in range(10):
            drive.send("left", 0.05)
        drive.send("right", 0.0)
    pair.behave()
    assert both(), (before, {name: len(drive.accepted(name)) for name in FRAME_OF}, pair.text[-2000:])


def test_a_reset_of_one_leaves_the_other(drive: Drive, pair: StubProcess) -> None:
    """Another frame_id is another stream: right starts anew, left keeps its segment and its keyframes."""
    assert drive.until(lambda: bool(drive.accepted("left")) and bool(drive.accepted("right")), *FRAME_OF)
    time.sleep(1.0)
    segment = drive.accepted("left")[-1].segment
    drive.ears.forget()
    drive.frames["right"] = "right_optical_new"
    assert drive.until(lambda: all(len(drive.accepted(n)) >= 1 for n in FRAME_OF), *FRAME_OF)
    removed = [m for m in drive.ears.messages("keyframes") if m.action == Keyframe.REMOVED]
    assert {m.camera for m in removed if m.reason == Keyframe.REASON_RESET} == {"right"}
    firsts = {m.camera for m in drive.ears.messages("keyframes") if m.reason == Keyframe.REASON_FIRST}
    assert firsts == {"right"}
    assert all(m.segment == segment for m in drive.accepted("left"))
    assert "Starting anew for right" in pair.text and "Starting anew for left" not in pair.text


def test_the_account_of_both_adds_up(drive: Drive, pair: StubProcess) -> None:
    def counts() -> Stats.Response:
        return drive.ears.call(Stats, "stats")

    wait_until(lambda: counts().delivered >= drive.sent, 3.0)  # best effort: some may be lost
    reply = counts()
    assert reply.delivered == reply.used + sum(d.count for d in reply.dropped)
    assert 0.9 * drive.sent <= reply.delivered <= drive.sent
    assert pair.alive and "Traceback" not in pair.text
