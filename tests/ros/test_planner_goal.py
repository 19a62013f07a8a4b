"""goal_from_detection beside a perception node of the test: what it uses, what not, and where it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from geometry_msgs.msg import PoseStamped
from lsm_perception.conversions.poses import pose_message, transform_message
from lsm_perception.conversions.stamps import stamp_from_ns, stamp_to_ns
from lsm_perception.examples.goal_from_detection import COSTMAP_QOS, GOAL_QOS, GoalFromDetection
from lsm_perception.qos import output_qos
from lsm_perception_msgs.msg import Scale
from nav_msgs.msg import OccupancyGrid
from planner_side import Planner, parameters, spun_together
from rclpy.node import Node
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesis, ObjectHypothesisWithPose

SECOND = 1_000_000_000
LOOKS_ALONG_X = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0.5], [0, 0, 0, 1.0]])  # of an optical frame
DEPTH_M = 3.0  # of the thing before the camera


class Perception(Node):
    """Says what the perception node would say: a chair 3 m before a camera at the origin of map."""

    def __init__(self) -> None:
        super().__init__("perception")
        self.scale = self.create_publisher(Scale, "lsm_perception/scale", output_qos("scale"))
        self.detections = self.create_publisher(
            Detection3DArray, "lsm_perception/detections", output_qos("detections")
        )
        self.tf = self.create_publisher(TFMessage, "/tf", 100)
        self.costmap = self.create_publisher(OccupancyGrid, "costmap", COSTMAP_QOS)

    def say_scale(self, state: int, epoch: int, stamp_ns: int) -> None:
        self.scale.publish(
            Scale(state=state, epoch=epoch, header=Header(stamp=stamp_from_ns(stamp_ns), frame_id="camera"))
        )

    def say_place(self, stamp_ns: int) -> None:
        poses = ((LOOKS_ALONG_X, "base_link", "camera"), (np.eye(4), "map", "base_link"))
        self.tf.publish(TFMessage(transforms=[transform_message(T, a, b, stamp_ns) for T, a, b in poses]))

    def say_chair(self, stamp_ns: int, depth_m: float = DEPTH_M, word: str = "chair", number: str = "7") -> None:
        T = np.eye(4)
        T[:3, 3] = (0.0, 0.2, depth_m)
        box = BoundingBox3D(center=pose_message(T))
        box.size.x, box.size.y, box.size.z = 0.5, 0.8, 0.5
        result = ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=word, score=0.8))
        head = Header(stamp=stamp_from_ns(stamp_ns), frame_id="camera")
        chair = Detection3D(header=head, results=[result], bbox=box, id=number)
        self.detections.publish(Detection3DArray(header=head, detections=[chair]))

    def say(self, stamp_ns: int, **chair: Any) -> None:
        self.say_place(stamp_ns)
        self.say_chair(stamp_ns, **chair)


class Scene:
    """The example, the planner that hears it, and the perception node."""

    def __init__(self, **given: Any) -> None:
        chosen = {"frame": "map", "max_age_s": 0.0, "standoff_m": 0.5, "agree": 2} | given
        self.goals = GoalFromDetection(**parameters(**chosen))
        self.planner = Planner(PoseStamped, "goal_pose", GOAL_QOS, "navigator")
        self.perception = Perception()
        self.nodes = (self.goals, self.planner, self.perception)

    def connect(self) -> None:
        out = (self.perception.scale, self.perception.detections, self.perception.tf)
        assert wait_until(lambda: all(publisher.get_subscription_count() for publisher in out))
        assert wait_until(lambda: self.goals.count_subscribers("goal_pose") > 0)

    def metric(self, epoch: int, stamp_ns: int = 0) -> None:
        self.perception.say_scale(Scale.METRIC, epoch, stamp_ns)
        assert wait_until(lambda: self.goals._gate.metric and self.goals._gate._epoch == epoch)

    def say(self, stamp_ns: int, **chair: Any) -> None:
        """Say a detection and wait until the example has used it."""
        self.perception.say(stamp_ns, **chair)
        assert wait_until(lambda: self.goals._agreement._newest_ns == stamp_ns), stamp_ns


@pytest.fixture
def scene(rclpy_session: None, request: pytest.FixtureRequest) -> Iterator[Scene]:
    made = Scene(**getattr(request, "param", {}))
    with spun_together(*made.nodes):
        made.connect()
        yield made


def test_a_goal_comes_once_until_the_thing_has_moved(scene: Scene) -> None:
    scene.metric(1)
    for i in range(1, 6):
        scene.say(i * SECOND)
    goal = scene.planner.wait_for(1)[0]
    assert stamp_to_ns(goal.header.stamp) == 2 * SECOND and goal.header.frame_id == "map"
    assert goal.pose.position.x == pytest.approx(DEPTH_M - 0.25 - 0.5)
    assert goal.pose.orientation.w == pytest.approx(1.0)  # towards +x, where the thing is
    scene.say(6 * SECOND, depth_m=DEPTH_M + 0.25)
    scene.say(7 * SECOND, depth_m=DEPTH_M + 0.25)
    assert len(scene.planner.heard) == 1  # less than change_m
    scene.say(8 * SECOND, depth_m=DEPTH_M + 1.0)
    scene.say(9 * SECOND, depth_m=DEPTH_M + 1.0)
    assert scene.planner.wait_for(2)[1].pose.position.x == pytest.approx(DEPTH_M + 1.0 - 0.75)


@pytest.mark.parametrize("scene", [{"target": "chair, sofa"}], indirect=True)
def test_only_the_words_asked_for_are_gone_to(scene: Scene) -> None:
    scene.metric(1)
    for i in range(1, 4):
        scene.say(i * SECOND, word="table")
    assert not scene.planner.heard
    for i in range(4, 6):
        scene.say(i * SECOND, word="Sofa")
    scene.planner.wait_for(1)


def test_a_new_epoch_begins_the_agreement_anew(scene: Scene) -> None:
    scene.metric(1)
    scene.say(1 * SECOND)
    scene.metric(2, 2 * SECOND)
    scene.perception.say(2 * SECOND)  # of before the new epoch, and late
    scene.say(3 * SECOND)
    assert not scene.planner.heard  # one of before and one of now are no agreement
    scene.say(4 * SECOND)
    assert stamp_to_ns(scene.planner.wait_for(1)[0].header.stamp) == 4 * SECOND


@pytest.mark.parametrize("scene", [{"max_age_s": 5.0, "agree": 1}], indirect=True)
def test_old_detections_give_no_goal(scene: Scene) -> None:
    scene.metric(1)
    now = time.time_ns()
    scene.perception.say(now - 60 * SECOND)
    scene.say(now)
    assert [stamp_to_ns(goal.header.stamp) for goal in scene.planner.wait_for(1)] == [now]


@pytest.mark.parametrize("scene", [{"costmap": "costmap", "agree": 1, "max_cost": 50}], indirect=True)
def test_the_free_side_of_the_thing_is_chosen(scene: Scene) -> None:
    scene.metric(1)
    scene.say(1 * SECOND)
    assert not scene.planner.heard  # without a costmap nothing is known to be free
    cells = np.full((80, 80), 0, np.int8)  # map: x and y from -1 m to 7 m and -4 m to 4 m, 0.1 m
    cells[:, : round((DEPTH_M + 1.0) / 0.1)] = 100  # closed up to the thing's middle
    cells[:40] = -1  # unknown to its right
    grid = OccupancyGrid(data=cells.ravel().tolist(), header=Header(frame_id="map"))
    grid.info.width, grid.info.height, grid.info.resolution = 80, 80, 0.1
    grid.info.origin.position.x, grid.info.origin.position.y = -1.0, -4.0
    scene.perception.costmap.publish(grid)
    assert wait_until(lambda: scene.goals._ground is not None)
    scene.say(2 * SECOND)
    place = scene.planner.wait_for(1)[0].pose.position
    assert place.x >= DEPTH_M and place.y > 0.0
    side = np.degrees(np.arctan2(place.y, place.x - DEPTH_M))
    assert 60.0 <= side <= 90.0  # of the free sides the one nearest to the robot's


@pytest.mark.parametrize("scene", [{"agree": 1, "change_m": 0.0, "change_deg": 0.0}], indirect=True)
def test_goals_come_again_after_time_has_jumped_back(scene: Scene) -> None:
    scene.metric(1)
    scene.say(100 * SECOND)
    scene.planner.wait_for(1)
    scene.perception.say(10 * SECOND)  # a bag starts again: tf still has the time of before
    assert wait_until(lambda: scene.goals._placed._newest_ns == 10 * SECOND)
    scene.say(11 * SECOND, depth_m=DEPTH_M + 1.0)
    assert stamp_to_ns(scene.planner.wait_for(2)[-1].header.stamp) == 11 * SECOND


@pytest.mark.parametrize("scene", [{"automatic": False, "agree": 1}], indirect=True)
def test_without_automatic_nothing_is_sent_by_itself(scene: Scene) -> None:
    scene.metric(1)
    scene.say(1 * SECOND)
    scene.say(2 * SECOND)
    assert scene.goals._goal is not None and not scene.planner.heard
