"""With odometry the scale becomes known: metric frames, clouds, depth; and never a second parent for a sensor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from harness import FRAME, Harness
from lsm_perception.conversions.poses import matrix_from_pose, matrix_from_transform
from lsm_perception.conversions.stamps import stamp_to_ns
from lsm_perception.publishers import TYPES
from lsm_perception_msgs.msg import PairPose, Scale
from lsm_perception_msgs.srv import QueryText
from sensor_msgs_py import point_cloud2
from synthetic_world import HALF_SIZE, HEIGHT, WIDTH, View, walk

T_ODOM_WORLD = np.array([[0, 0, 1, 3.0], [-1, 0, 0, -2.0], [0, -1, 0, 1.0], [0, 0, 0, 1.0]])


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(16)


@pytest.fixture(scope="module")
def node(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    """A node with perfect odometry after a walk through the room."""
    harness = Harness(FakeBackend(views), {"queries.texts": ["wall", "cabinet"]})
    harness.wait_active()
    harness.wait_connected(*TYPES)
    harness.send_odometry(views)
    harness.walk(views)
    assert wait_until(lambda: len(harness.messages("depth/image")) >= 2)
    yield harness
    harness.close()


def metric_pairs(node: Harness) -> list[PairPose]:
    return [m for m in node.messages("pair_pose") if m.unit == PairPose.UNIT_METRIC]


def test_scale_becomes_metric_from_odometry(node: Harness) -> None:
    scale = node.messages("scale")[-1]
    assert scale.state == Scale.METRIC and scale.source == Scale.SOURCE_ODOMETRY
    assert scale.samples >= 3 and scale.epoch >= 1 and scale.spread < 0.05


def test_pair_poses_are_in_metres(node: Harness, views: list[View]) -> None:
    poses = {v.stamp_ns: v.T_world_cam for v in views}
    assert metric_pairs(node)
    for message in metric_pairs(node):
        truth = (
            np.linalg.inv(poses[stamp_to_ns(message.reference_stamp)]) @ poses[stamp_to_ns(message.header.stamp)]
        )
        assert np.allclose(matrix_from_pose(message.pose.pose), truth, atol=0.01)
        assert (message.header.frame_id, message.child_frame_id) == ("lsm_keyframe", "lsm_camera")


def test_metric_tree_hangs_under_odom_where_the_camera_is(node: Harness, views: list[View]) -> None:
    poses = {v.stamp_ns: v.T_world_cam for v in views}
    metric = [m.transforms for m in node.messages("tf") if m.transforms[0].header.frame_id == "odom"]
    own = [t for t in metric if t[0].child_frame_id == "lsm_map"]
    assert own
    for transforms in own:
        assert [(t.header.frame_id, t.child_frame_id) for t in transforms] == [
            ("odom", "lsm_map"),
            ("lsm_map", "lsm_keyframe"),
            ("lsm_keyframe", "lsm_camera"),
        ]
        T = np.eye(4)
        for t in transforms:
            T = T @ matrix_from_transform(t.transform)
        assert np.allclose(T, T_ODOM_WORLD @ poses[stamp_to_ns(transforms[0].header.stamp)], atol=1e-5)


def test_no_frame_has_two_parents_and_no_tree_is_joined_to_the_unscaled_one(node: Harness) -> None:
    parents: dict[str, set[str]] = {}
    for message in node.messages("tf"):
        for t in message.transforms:
            parents.setdefault(t.child_frame_id, set()).add(t.header.frame_id)
    assert all(len(p) == 1 for p in parents.values()), parents
    assert FRAME not in parents and parents["base_link"] == {"odom"}
    for child, (parent,) in ((c, tuple(p)) for c, p in parents.items()):
        assert child.endswith("_unscaled") == parent.endswith("_unscaled")


def test_metric_clouds_are_in_the_images_own_frame_and_in_metres(node: Harness, views: list[View]) -> None:
    cloud = node.messages("points")[-1]
    assert cloud.header.frame_id == FRAME
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(cloud.header.stamp))
    points = point_cloud2.read_points_numpy(cloud, ["x", "y", "z"])
    u = np.rint(260 * points[:, 0] / points[:, 2] + 159.5).astype(int).clip(0, WIDTH - 1)
    v = np.rint(260 * points[:, 1] / points[:, 2] + 119.5).astype(int).clip(0, HEIGHT - 1)
    assert np.percentile(np.abs(points[:, 2] - view.depth[v, u]), 90) < 0.08
    assert node.messages("map_points")[-1].header.frame_id == "lsm_map"


def test_depth_is_metres_with_nan_and_a_camera_info_of_the_same_stamp(node: Harness, views: list[View]) -> None:
    depth, info = node.messages("depth/image")[-1], node.messages("depth/camera_info")[-1]
    assert depth.header == info.header and depth.header.frame_id == FRAME and depth.encoding == "32FC1"
    assert (depth.width, depth.height) == (info.width, info.height)
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(depth.header.stamp))
    values = np.asarray(depth.data, np.uint8).view(np.float32).reshape(depth.height, depth.width)
    valid = np.isfinite(values)
    assert not valid[:, :8].any() and valid[:, 12:-4].mean() > 0.9  # the backend is unsure of the left border
    fx, cx, fy, cy = info.k[0], info.k[2], info.k[4], info.k[5]
    y, x = np.nonzero(valid)
    u = np.rint(260 * (x - cx) / fx + 159.5).astype(int).clip(0, WIDTH - 1)
    v = np.rint(260 * (y - cy) / fy + 119.5).astype(int).clip(0, HEIGHT - 1)
    assert np.percentile(np.abs(values[valid] - view.depth[v, u]), 90) < 0.08


def test_centroids_and_boxes_of_a_query_are_metres_in_the_images_frame(node: Harness, views: list[View]) -> None:
    reply = node.call(QueryText, "query_text", texts=["cabinet"])
    assert reply.success and reply.unit == PairPose.UNIT_METRIC and reply.points.header.frame_id == FRAME
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(reply.header.stamp))
    rows, columns = np.nonzero((view.label == 5) & (np.arange(WIDTH) >= 32))  # the backend is unsure left of it
    depth = view.depth[rows, columns].astype(np.float64)
    front = np.stack([(columns - 159.5) / 260 * depth, (rows - 119.5) / 260 * depth, depth], -1)
    c = reply.centroids[0]
    assert reply.centroid_valid[0] and np.abs(np.median(front, 0) - (c.x, c.y, c.z)).max() < 0.25
    assert len(reply.objects.detections) >= 1 and reply.objects.header.frame_id == FRAME
    size = reply.objects.detections[0].bbox.size
    assert 1.0 < max(size.x, size.y, size.z) < 7.0  # the room is 6 m long


def test_box_and_points_of_a_query_are_where_the_room_has_them(node: Harness, views: list[View]) -> None:
    reply = node.call(QueryText, "query_text", texts=["cabinet"])
    assert reply.code == "ok" and reply.message == "" and len(reply.objects.detections) == 1
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(reply.header.stamp))
    seen = (view.label == 5) & (np.arange(WIDTH) >= 36)  # the backend is unsure left of it
    rows, columns = np.nonzero(seen)
    depth = view.depth[rows, columns].astype(np.float64)
    front = np.stack([(columns - 159.5) / 260 * depth, (rows - 119.5) / 260 * depth, depth], -1)
    truth = front @ view.T_world_cam[:3, :3].T + view.T_world_cam[:3, 3]  # the face z = 3 of the room

    points = point_cloud2.read_points_numpy(reply.points, ["x", "y", "z"]).astype(np.float64)
    placed = points @ view.T_world_cam[:3, :3].T + view.T_world_cam[:3, 3]
    assert np.percentile(np.abs(placed[:, 2] - HALF_SIZE[2]), 90) < 0.03

    box = reply.objects.detections[0].bbox
    T_world_box = view.T_world_cam @ matrix_from_pose(box.center)
    assert np.abs(T_world_box[:3, :3]).max(0).min() > 0.999  # its sides are those of the room
    size = np.abs(T_world_box[:3, :3]) @ (box.size.x, box.size.y, box.size.z)
    low, high = np.quantile(truth, [0.02, 0.98], axis=0)
    assert size[2] < 0.06 and np.allclose(size[:2], (high - low)[:2], rtol=0.08)
    assert np.allclose(T_world_box[:3, 3], 0.5 * (low + high), atol=0.1)


def test_detections_are_published_in_the_images_frame(node: Harness) -> None:
    message = node.messages("detections")[-1]
    assert message.header.frame_id == FRAME and message.detections
    assert message.detections[0].results[0].hypothesis.class_id == "cabinet"


def test_a_thing_keeps_its_number_and_its_place_over_the_walk(node: Harness, views: list[View]) -> None:
    poses = {v.stamp_ns: v.T_world_cam for v in views}
    messages = node.messages("detections")
    assert len(messages) >= 3
    numbers, places, widths = set(), [], []
    for message in messages:
        cabinets = [d for d in message.detections if d.results[0].hypothesis.class_id == "cabinet"]
        (cabinet,) = cabinets  # one face of the room, however many keyframes saw it
        numbers.add(cabinet.id)
        T_world_box = poses[stamp_to_ns(message.header.stamp)] @ matrix_from_pose(cabinet.bbox.center)
        size = cabinet.bbox.size
        places.append(T_world_box[:3, 3])
        widths.append((np.abs(T_world_box[:3, :3]) @ (size.x, size.y, size.z))[0])
    assert len(numbers) == 1 and numbers != {""}
    assert np.abs(np.array(places)[:, 2] - HALF_SIZE[2]).max() < 0.06
    one = node.call(QueryText, "query_text", texts=["cabinet"]).objects.detections[0].bbox.size
    assert widths[-1] > 1.2 * max(one.x, one.y, one.z)  # more than the newest keyframe shows of it
