"""The examples for planners beside the real node: masks at the right cells, goals at the right place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from geometry_msgs.msg import PoseStamped
from harness import FRAME, Harness
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.examples.goal_from_detection import GoalFromDetection
from lsm_perception.examples.label_mask import LabelMask
from lsm_perception.examples.mask_message import same_cells
from lsm_perception_msgs.msg import PairPose, Scale
from lsm_perception_msgs.srv import Reset, SetQueries
from nav_msgs.msg import OccupancyGrid
from planner_side import Planner, cells_of, parameters, spun_together
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from sensor_msgs_py import point_cloud2
from std_srvs.srv import Trigger
from synthetic_world import View, walk
from tf2_ros import Buffer, TransformListener

# rclcpp::QoS(KeepLast(1)).transient_local().reliable(): how Nav2's costmap filters subscribe to a mask.
FILTER_QOS = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
# rclcpp::SystemDefaultsQoS(): how bt_navigator subscribes to goal_pose.
GOAL_QOS = QoSProfile(
    depth=1,
    history=HistoryPolicy.SYSTEM_DEFAULT,
    reliability=ReliabilityPolicy.SYSTEM_DEFAULT,
    durability=DurabilityPolicy.SYSTEM_DEFAULT,
)
FLOOR_M = -0.3  # height of the room's floor in odom: its middle is at 1 m, half its height 1.3 m
CABINET_X_M = 6.0  # the face z = 3 of the room in odom
VOXEL_LAYER = Path(__file__).resolve().parents[2] / "ros2_ws/src/lsm_perception/config/nav2_voxel_layer.yaml"
T_ODOM_WORLD = np.array([[0, 0, 1, 3.0], [-1, 0, 0, -2.0], [0, -1, 0, 1.0], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(22)


@pytest.fixture(scope="module")
def shared_node(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    harness = Harness(
        FakeBackend(views), {"queries.texts": ["wall", "cabinet", "floor"]}, ("scale", "depth/image", "points")
    )
    harness.wait_active()
    yield harness
    harness.close()


@pytest.fixture
def node(shared_node: Harness) -> Harness:
    shared_node.renew()
    return shared_node


class RecordingMask(LabelMask):
    """The example, telling what it has looked at."""

    def __init__(self, **options: Any) -> None:
        self.looked: set[int] = set()
        super().__init__(**options)

    def _look(self, item: Any, T_frame_cam: Any) -> None:
        super()._look(item, T_frame_cam)
        self.looked.add(item[0])

    def is_last(self, message: OccupancyGrid) -> bool:
        """Whether a message is one of the masks as they are now."""
        return any(same_cells(message, mask.message("odom", 0, 0.0)) for mask in self._masks)


def voxel_layer() -> dict[str, Any]:
    """Return the voxel layer of the local costmap as it is shipped."""
    content = yaml.safe_load(VOXEL_LAYER.read_text(encoding="utf-8"))
    layer: dict[str, Any] = content["local_costmap"]["local_costmap"]["ros__parameters"]["voxel_layer"]
    return layer


def in_odom(views: list[View], label: int, stride: int = 4) -> np.ndarray:
    """Return points [N, 3] in odom of what the views show with a label."""
    out = []
    for view in views:
        v, u = np.nonzero((view.label == label) & (np.arange(320) >= 36))  # the backend is unsure left of it
        v, u = v[::stride], u[::stride]
        z = view.depth[v, u].astype(np.float64)
        in_cam = np.stack([(u - 159.5) / 260 * z, (v - 119.5) / 260 * z, z, np.ones(len(z))], -1)
        out.append((in_cam @ (T_ODOM_WORLD @ view.T_world_cam).T)[:, :3])
    return np.concatenate(out)


def test_a_filter_of_nav2_gets_the_cells_where_the_words_things_stand(node: Harness, views: list[View]) -> None:
    masks = RecordingMask(
        **parameters(
            keepout="Cabinet",
            slow="floor",
            ground_m=FLOOR_M,
            max_depth_m=8.0,
            margin_m=0.0,
            looks=1,
            period_s=0.1,
        )
    )
    keepout = Planner(OccupancyGrid, "keepout_mask", FILTER_QOS, "keepout_filter")
    speed = Planner(OccupancyGrid, "speed_mask", FILTER_QOS, "speed_filter")
    with spun_together(masks, keepout, speed):
        node.wait_connected("segmentation/label", "depth/image", "depth/camera_info", "scale")
        node.send_odometry(views)
        node.walk(views)
        assert wait_until(lambda: any(len(cells_of(m, 100)) > 20 for m in keepout.heard))
        assert wait_until(lambda: any(len(cells_of(m, 30)) > 20 for m in speed.heard))
        assert wait_until(lambda: all(masks.is_last(planner.heard[-1]) for planner in (keepout, speed)))
        closed, slow = keepout.heard[-1], speed.heard[-1]
    assert (closed.header.frame_id, slow.header.frame_id) == ("odom", "odom")
    assert set(np.unique(np.asarray(closed.data))) == {-1, 100}  # 0 would turn unknown cells of a costmap into free
    assert set(np.unique(np.asarray(slow.data))) == {0, 30}  # SpeedFilter refuses -1
    cabinet = cells_of(closed, 100)
    assert np.abs(cabinet[:, 0] - CABINET_X_M).max() < 0.15
    used = [view for view in views if view.stamp_ns in masks.looked]
    assert len(used) >= 2 and masks.looked <= {stamp_to_ns(m.header.stamp) for m in node.messages("depth/image")}
    seen = in_odom(used, 5)
    assert seen[:, 1].min() - 0.1 < cabinet[:, 1].min() and cabinet[:, 1].max() < seen[:, 1].max() + 0.1
    assert np.ptp(cabinet[:, 1]) > 0.9 * np.ptp(seen[:, 1])
    floor = cells_of(slow, 30)
    true = {tuple(c) for c in np.floor(in_odom(used, 3, 1)[:, :2] / 0.05).astype(int)}
    cells = [tuple(c) for c in np.floor(floor / 0.05).astype(int)]
    assert np.mean([c in true for c in cells]) > 0.9
    assert floor[:, 0].max() < CABINET_X_M + 0.05


def test_a_mask_waits_for_those_who_come_late_and_is_empty_after_a_reset(node: Harness, views: list[View]) -> None:
    masks = LabelMask(**parameters(keepout="cabinet", ground_m=FLOOR_M, max_depth_m=8.0, period_s=0.1))
    with spun_together(masks):
        node.wait_connected("segmentation/label", "depth/image", "depth/camera_info")
        node.send_odometry(views)
        node.walk(views)
        assert wait_until(lambda: bool(masks._sent))
        late = Planner(OccupancyGrid, "keepout_mask", FILTER_QOS, "late_filter")
        with spun_together(late):
            late.wait_for(1)
            assert wait_until(lambda: len(cells_of(late.heard[-1], 100)) > 20)
            assert node.call(Reset, "reset").success
            assert wait_until(lambda: len(cells_of(late.heard[-1], 100)) == 0), "the epoch is void, its mask is not"


def test_words_that_change_their_labels_mark_nothing_wrong(node: Harness, views: list[View]) -> None:
    """The cabinet's label becomes the floor's, which covers much more; also where the clock is a simulated one."""
    masks = LabelMask(
        **parameters(keepout="cabinet", ground_m=FLOOR_M, max_depth_m=8.0, looks=1, margin_m=0.0, period_s=0.1)
    )
    keepout = Planner(OccupancyGrid, "keepout_mask", FILTER_QOS, "keepout_filter")
    masks.set_parameters([Parameter("use_sim_time", value=True)])  # and nobody publishes /clock
    with spun_together(masks, keepout):
        node.wait_connected("segmentation/label", "depth/image", "depth/camera_info")
        assert node.call(SetQueries, "set_queries", texts=["wall", "cabinet", "floor"]).success
        node.send_odometry(views)
        node.walk(views[:10])
        assert wait_until(lambda: any(len(cells_of(m, 100)) > 20 for m in keepout.heard))
        before = len(cells_of(keepout.heard[-1], 100))
        assert node.call(SetQueries, "set_queries", texts=["wall", "floor", "cabinet"]).success
        assert wait_until(lambda: masks._table.labels(["cabinet"]) == {2})
        node.walk(views[10:])
        assert wait_until(lambda: masks._stamp_ns >= views[10].stamp_ns), "the new labels were not used"
        assert wait_until(lambda: len(cells_of(keepout.heard[-1], 100)) > before)
        assert np.abs(cells_of(keepout.heard[-1], 100)[:, 0] - CABINET_X_M).max() < 0.15


def test_nothing_is_published_while_the_scale_is_unknown(node: Harness, views: list[View]) -> None:
    masks = LabelMask(**parameters(keepout="cabinet", slow="floor"))
    goals = GoalFromDetection(**parameters(target="cabinet", max_age_s=0.0, agree=1))
    heard = [
        Planner(OccupancyGrid, "keepout_mask", FILTER_QOS, "keepout_filter"),
        Planner(OccupancyGrid, "speed_mask", FILTER_QOS, "speed_filter"),
        Planner(PoseStamped, "goal_pose", GOAL_QOS, "bt_navigator"),
    ]
    with spun_together(masks, goals, *heard):
        node.wait_connected("segmentation/label", "depth/image", "detections")
        node.walk(views[:8])  # no odometry
        assert wait_until(lambda: bool(node.messages("points")))
        assert {m.header.frame_id for m in node.messages("points")} == {"lsm_camera_unscaled"}
        reply = node.client.create_client(Trigger, "goal_from_detection/send")
        assert reply.wait_for_service(5.0)
        future = reply.call_async(Trigger.Request())
        assert wait_until(future.done) and not future.result().success
    assert [len(planner.heard) for planner in heard] == [0, 0, 0]


def test_clouds_reach_the_robots_frames_only_when_they_are_metric(node: Harness, views: list[View]) -> None:
    """What Nav2's costmap does with a cloud: wait for tf from its frame to odom at its stamp, else never use it."""
    listener = Node("costmap_tf")
    buffer = Buffer(cache_time=Duration(seconds=3600))
    listener.tf = TransformListener(buffer, listener)  # kept while the node is
    with spun_together(listener):
        node.wait_connected("points")
        node.walk(views[:6])
        assert wait_until(lambda: bool(node.messages("points")))
        node.send_odometry(views)
        node.walk(views[6:])
        assert wait_until(lambda: any(m.header.frame_id == FRAME for m in node.messages("points")))
        assert wait_until(lambda: buffer.can_transform("odom", "lsm_camera", Time()))
        clouds = node.messages("points")

        def usable(cloud: object) -> bool:
            header = cloud.header  # type: ignore[attr-defined]
            return bool(buffer.can_transform("odom", header.frame_id, Time(nanoseconds=stamp_to_ns(header.stamp))))

        before = [m for m in clouds if m.header.frame_id == "lsm_camera_unscaled"]
        metric = [m for m in clouds if m.header.frame_id == FRAME]
        assert before and metric and len(before) + len(metric) == len(clouds)
        assert not any(usable(m) for m in before)
        assert all(usable(m) for m in metric)


def test_with_the_shipped_heights_walls_are_marked_and_the_floor_only_clears(
    node: Harness, views: list[View]
) -> None:
    """The two height filters and the range of Nav2's voxel layer, applied to the node's clouds as Nav2 does it."""
    layer = voxel_layer()
    source = layer["lsm_points"]
    node.wait_connected("points")
    node.send_odometry(views)
    node.walk(views)
    clouds = [m for m in node.messages("points") if m.header.frame_id == FRAME]
    assert len(clouds) >= 2
    poses = {v.stamp_ns: T_ODOM_WORLD @ v.T_world_cam for v in views}
    marked, clearing, floor = [], 0, 0
    for cloud in clouds:
        T = poses[stamp_to_ns(cloud.header.stamp)]
        points = point_cloud2.read_points_numpy(cloud, ["x", "y", "z"]) @ T[:3, :3].T + T[:3, 3]
        height = points[:, 2] - FLOOR_M
        kept = (height >= source["min_obstacle_height"]) & (height <= source["max_obstacle_height"])
        within = (height >= layer["min_obstacle_height"]) & (height <= layer["max_obstacle_height"])
        distance = np.linalg.norm(points - T[:3, 3], axis=1)
        near = (distance < source["obstacle_max_range"]) & (distance >= source["obstacle_min_range"])
        marked.append(points[kept & within & near])
        clearing, floor = clearing + int(kept.sum()), floor + int((kept & (height < 0.05)).sum())
        sensor_height = T[2, 3] - FLOOR_M
        assert layer["origin_z"] < sensor_height < layer["origin_z"] + layer["z_voxels"] * layer["z_resolution"]
    together = np.concatenate(marked)
    # The room in odom: x from 0 to 6, y from -4.5 to 0.5.
    walls = np.stack([together[:, 0], 6.0 - together[:, 0], together[:, 1] + 4.5, 0.5 - together[:, 1]], -1)
    assert len(together) > 500 and np.quantile(walls.min(axis=1), 0.99) < 0.15
    assert floor > 0.05 * clearing


def test_a_goal_stands_before_the_thing_and_looks_at_it(node: Harness, views: list[View]) -> None:
    goals = GoalFromDetection(**parameters(target="cabinet", max_age_s=0.0, standoff_m=0.8, change_m=10.0))
    navigator = Planner(PoseStamped, "goal_pose", GOAL_QOS, "bt_navigator")
    with spun_together(goals, navigator):
        node.wait_connected("detections")
        node.send_odometry(views)
        node.walk(views)
        goal = navigator.wait_for(1)[0]
        assert len(navigator.heard) == 1  # the thing does not move: one goal
        stamps = {v.stamp_ns for v in views}
        assert goal.header.frame_id == "odom" and stamp_to_ns(goal.header.stamp) in stamps
        place, turn = goal.pose.position, goal.pose.orientation
        # The face x = 6 of the room in odom, seen from smaller x.
        assert abs(CABINET_X_M - place.x - 0.8) < 0.3 and place.z == 0.0
        seen = in_odom(views, 5)
        assert seen[:, 1].min() < place.y < seen[:, 1].max()
        assert (turn.x, turn.y) == (0.0, 0.0)
        yaw = 2 * np.arctan2(turn.z, turn.w)
        assert abs(np.degrees(yaw)) < 30.0  # towards the wall
        send = node.client.create_client(Trigger, "goal_from_detection/send")
        assert send.wait_for_service(5.0)
        future = send.call_async(Trigger.Request())
        assert wait_until(future.done) and future.result().success
        navigator.wait_for(2)
        assert node.call(Reset, "reset").success
        assert wait_until(lambda: goals._goal is None)
        future = send.call_async(Trigger.Request())
        assert wait_until(future.done) and not future.result().success
        assert len(navigator.heard) == 2


def test_no_new_goal_while_the_scale_is_lost(rclpy_session: None) -> None:
    views = walk(30)
    chosen = {"scale.stale_pairs": 3, "queries.texts": ["cabinet"], "pose_gate.two_view_check": False}
    harness = Harness(FakeBackend(views), chosen, ("scale", "pair_pose", "detections"), namespace="lossy")
    # Every message that may be used gives a goal: none is held back for being like the one before.
    goals = GoalFromDetection(
        **parameters(
            perception="lossy/lsm_perception",
            target="cabinet",
            max_age_s=0.0,
            agree=1,
            change_m=0.0,
            change_deg=0.0,
        )
    )
    navigator = Planner(PoseStamped, "goal_pose", GOAL_QOS, "bt_navigator")
    try:
        with spun_together(goals, navigator):
            harness.wait_active()
            harness.wait_connected("detections", "scale", "pair_pose")
            harness.send_odometry(views[:16])
            harness.walk(views[:16])
            navigator.wait_for(2)
            harness.walk(views[16:])  # no odometry
            assert wait_until(lambda: harness.messages("scale")[-1].state == Scale.DEGRADED)
            assert wait_until(lambda: not goals._gate.metric)
            lost_ns = min(
                stamp_to_ns(m.header.stamp)
                for m in harness.messages("pair_pose")
                if m.unit != PairPose.UNIT_METRIC and stamp_to_ns(m.header.stamp) >= views[16].stamp_ns
            )
            assert all(stamp_to_ns(m.header.stamp) < lost_ns for m in navigator.heard)
            assert goals._goal is None
    finally:
        harness.close()
