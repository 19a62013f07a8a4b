"""A rig in the real process over DDS: metres while standing still, and every fault named, counted and survived."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import wait_until

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
        self._views: Iterator[tuple[View, View]] = itertools.cycle(zip(*standing(20), strict=True))
        self._stamp_ns = 1_700_000_000_000_000_001
        assert wait_until(lambda: self.right.images.get_subscription_count() > 0)
        assert wait_until(lambda: self.robot.images.get_subscription_count() > 0)
        self.right.send_extrinsics()
        time.sleep(0.5)

    def step_until(
        self, condition: Callable[[], bool], right: bool = True, late_ns: int = 0, timeout_s: float = 60.0
    ) -> bool:
        """Send views of both cameras, or of the left one alone, until a condition holds; False when it does not."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            left_view, right_view = next(self._views)
            self._stamp_ns += 100_000_000
            if right:
                self.right.send(replace(right_view, stamp_ns=self._stamp_ns + late_ns))
                time.sleep(0.05)
            self.robot.send(replace(left_view, stamp_ns=self._stamp_ns), LEFT)
            time.sleep(0.1)
        return True

    def rig_pairs(self) -> list[PairPose]:
        return [m for m in self.robot.messages("pair_pose") if m.reference_camera == "right"]

    def metric_pairs(self) -> list[PairPose]:
        return [m for m in self.rig_pairs() if m.unit == PairPose.UNIT_METRIC]

    def accepted_pairs(self) -> list[PairPose]:
        return [m for m in self.rig_pairs() if m.accepted]

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
    rig.process.end()


def test_a_standing_rig_is_metric_and_lives_through_every_fault(rig: StandingRig) -> None:
    assert rig.step_until(lambda: rig.metric_pairs() != []), rig.process.text
    assert rig.robot.messages("scale")[-1].source == Scale.SOURCE_RIG
    assert matrix_from_pose(rig.metric_pairs()[-1].pose.pose)[0, 3] == pytest.approx(-BASELINE_M, abs=0.01)
    assert wait_until(lambda: any(m.header.frame_id == LEFT for m in rig.robot.messages("points")))

    rig.process.behave(bad_pose=True)  # the model contradicts tf
    assert rig.step_until(lambda: any(m.reason == "rig_rotation" for m in rig.rig_pairs())), rig.process.text
    rig.process.behave()
    assert {d.reason for d in rig.stats().pairs_rejected} == {"rig_rotation"}

    missing = "The second camera has no image within 20 ms"  # the right camera dies
    assert rig.step_until(lambda: missing in rig.process.text, right=False), rig.process.text
    assert rig.step_until(lambda: "second camera" in rig.complaint(), right=False), rig.complaint()

    def unsynchronised() -> bool:
        return "-40 ms off" in rig.process.text

    assert rig.step_until(unsynchronised, late_ns=-40_000_000), rig.process.text  # it is back, out of step
    assert {d.reason for d in rig.stats().dropped} >= {"unsynchronised"}

    before = len(rig.accepted_pairs())
    assert rig.step_until(lambda: len(rig.accepted_pairs()) > before), rig.process.text  # and well again
    assert rig.process.alive and "Traceback" not in rig.process.text
    stats = rig.stats()
    assert stats.delivered == stats.used + sum(d.count for d in stats.dropped)
    assert rig.process.stop() < 5.0
