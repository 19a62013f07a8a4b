"""A rig in the real process over DDS: metres while standing still, and every fault named, counted and survived."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from lsm_perception.conversions.poses import matrix_from_pose
from lsm_perception_msgs.msg import PairPose, Scale
from lsm_perception_msgs.srv import Stats
from node_process import ACTIVE, StubProcess
from rig_harness import LEFT, RightCamera
from rig_views import BASELINE_M, standing
from robot import Robot
from synthetic_world import View

PARAMETERS = {
    "pairing": "rig",
    "cameras": ["left", "right"],
    "keyframes.max_age_s": 0.25,
    "rig.max_wait_s": 1.0,  # a loaded machine delivers late
}


class StandingRig:
    """A robot with two cameras beside the process; views come with growing stamps."""

    def __init__(self, folder: Path) -> None:
        self.process = StubProcess(folder, PARAMETERS)
        self.process.wait_for(ACTIVE)
        self.robot = Robot(("scale", "pair_pose", "points", "diagnostics"), camera="left")
        self.right = RightCamera(self.robot)
        self._views: Iterator[tuple[View, View]] = iter(zip(*standing(40), strict=True))
        assert wait_until(lambda: self.right.images.get_subscription_count() > 0)
        assert wait_until(lambda: self.robot.images.get_subscription_count() > 0)
        self.right.send_extrinsics()
        time.sleep(0.5)

    def step(self, right: bool = True, late_ns: int = 0) -> None:
        """Send the next view of both cameras, or of the left one alone."""
        left_view, right_view = next(self._views)
        if right:
            self.right.send(replace(right_view, stamp_ns=right_view.stamp_ns + late_ns))
            time.sleep(0.05)
        self.robot.send(left_view, LEFT)
        time.sleep(0.1)

    def rig_pairs(self) -> list[PairPose]:
        return [m for m in self.robot.messages("pair_pose") if m.reference_camera == "right"]

    def stats(self) -> Stats.Response:
        return self.robot.call(Stats, "stats")

    def complaint(self) -> str:
        """The message of the input diagnostics that came last."""
        arrays = self.robot.messages("diagnostics")
        return next((s.message for s in arrays[-1].status if s.name.endswith("input")), "") if arrays else ""


@pytest.fixture(scope="module")
def rig(rclpy_session: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandingRig]:
    rig = StandingRig(tmp_path_factory.mktemp("rig"))
    yield rig
    rig.robot.close()
    rig.process.kill()


def test_a_standing_rig_is_metric_and_lives_through_every_fault(rig: StandingRig) -> None:
    for _ in range(12):
        rig.step()
    assert wait_until(lambda: any(m.state == Scale.METRIC for m in rig.robot.messages("scale"))), rig.process.text
    assert rig.robot.messages("scale")[-1].source == Scale.SOURCE_RIG
    metric = [m for m in rig.rig_pairs() if m.unit == PairPose.UNIT_METRIC]
    assert metric and matrix_from_pose(metric[-1].pose.pose)[0, 3] == pytest.approx(-BASELINE_M, abs=0.01)
    assert wait_until(lambda: any(m.header.frame_id == LEFT for m in rig.robot.messages("points")))

    rig.process.behave(bad_pose=True)  # the model contradicts tf
    for _ in range(6):
        rig.step()
    assert wait_until(lambda: any(m.reason == "rig_rotation" for m in rig.rig_pairs())), rig.process.text
    rig.process.behave()
    assert {d.reason for d in rig.stats().pairs_rejected} == {"rig_rotation"}

    for _ in range(4):  # the right camera dies
        rig.step(right=False)
    assert wait_until(lambda: "The second camera has no image within 20 ms" in rig.process.text), rig.process.text
    assert wait_until(lambda: "second camera" in rig.complaint()), rig.complaint()

    for _ in range(5):  # it is back, out of step
        rig.step(late_ns=-40_000_000)
    assert wait_until(lambda: {d.reason for d in rig.stats().dropped} >= {"unsynchronised"})

    before = len([m for m in rig.rig_pairs() if m.accepted])
    for _ in range(8):  # and well again
        rig.step()
    assert wait_until(lambda: len([m for m in rig.rig_pairs() if m.accepted]) > before), rig.process.text
    assert rig.process.alive and "Traceback" not in rig.process.text
    stats = rig.stats()
    assert stats.delivered == stats.used + sum(d.count for d in stats.dropped)
    assert rig.process.stop() < 5.0
