"""What the node publishes over DDS without odometry: types, stamps, frames, the unscaled tree."""

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
from lsm_perception_msgs.msg import Keyframe, PairPose, Scale
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy
from sensor_msgs_py import point_cloud2
from synthetic_world import FACES, HEIGHT, WIDTH, View, walk

QUERIES = ["wall", "floor", "cabinet"]
UNSCALED = {"lsm_map_unscaled", "lsm_keyframe_unscaled", "lsm_camera_unscaled"}


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(14)


@pytest.fixture(scope="module")
def node(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    """A node without odometry after a walk through the room."""
    harness = Harness(FakeBackend(views), {"queries.texts": QUERIES})
    harness.wait_active()
    harness.wait_connected(*TYPES)
    harness.walk(views)
    keyframes = [m for m in harness.messages("keyframes") if m.action == Keyframe.ADDED]
    assert len(keyframes) >= 4
    for name, count in (("points", len(keyframes) - 1), ("segmentation/overlay", len(keyframes))):
        assert wait_until(lambda name=name, count=count: len(harness.messages(name)) >= count), name
    yield harness
    harness.close()


def kept_stamps(node: Harness) -> list[int]:
    return [stamp_to_ns(m.header.stamp) for m in node.messages("keyframes") if m.action == Keyframe.ADDED]


def test_keyframe_stamps_are_those_of_source_images_to_the_nanosecond(node: Harness, views: list[View]) -> None:
    sent = {v.stamp_ns for v in views}
    assert wait_until(lambda: len(node.messages("keyframes")) >= len(views))
    heard = [stamp_to_ns(m.header.stamp) for m in node.messages("keyframes")]
    assert len(heard) == len(views) and set(heard) == sent
    assert all(stamp % 10 for stamp in (views[0].stamp_ns, views[3].stamp_ns))  # the test's stamps are odd ones


@pytest.mark.parametrize(
    "name",
    [
        "points",
        "gaussians",
        "pair_pose",
        "relative_pose",
        "segmentation/label",
        "segmentation/score",
        "segmentation/overlay",
    ],
)
def test_products_carry_stamps_of_keyframes(node: Harness, name: str) -> None:
    stamps = [stamp_to_ns(m.header.stamp) for m in node.messages(name)]
    assert stamps and set(stamps) <= set(kept_stamps(node))
    assert stamps == sorted(set(stamps))


def test_clouds_are_in_the_unscaled_camera_frame_with_the_documented_fields(node: Harness) -> None:
    cloud = node.messages("points")[-1]
    assert cloud.header.frame_id == "lsm_camera_unscaled"
    assert [f.name for f in cloud.fields] == ["x", "y", "z", "rgb", "confidence", "label", "score"]
    assert len(cloud.data) == cloud.width * cloud.height * cloud.point_step and cloud.is_dense
    assert node.messages("map_points")[-1].header.frame_id == "lsm_map_unscaled"


def test_cloud_is_the_newer_keyframes_view(node: Harness, views: list[View]) -> None:
    """Points, divided by the unknown unit, project onto the rendered depth of the image they are stamped with."""
    cloud = node.messages("points")[-1]
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(cloud.header.stamp))
    points = point_cloud2.read_points_numpy(cloud, ["x", "y", "z"])
    u = np.rint(260 * points[:, 0] / points[:, 2] + 159.5).astype(int).clip(0, WIDTH - 1)
    v = np.rint(260 * points[:, 1] / points[:, 2] + 119.5).astype(int).clip(0, HEIGHT - 1)
    ratio = points[:, 2] / view.depth[v, u]
    assert np.percentile(np.abs(ratio / np.median(ratio) - 1), 95) < 0.05


def test_cloud_labels_name_the_texts(node: Harness, views: list[View]) -> None:
    cloud = node.messages("points")[-1]
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(cloud.header.stamp))
    rows = point_cloud2.read_points(cloud)
    u = np.rint(260 * rows["x"] / rows["z"] + 159.5).astype(int).clip(0, WIDTH - 1)
    v = np.rint(260 * rows["y"] / rows["z"] + 119.5).astype(int).clip(0, HEIGHT - 1)
    faces = view.label[v, u]
    for index, text in enumerate(QUERIES):
        on_face = faces == FACES.index(text)
        if on_face.sum() > 50:
            assert (rows["label"][on_face] == index).mean() > 0.9, text
    unasked = np.isin(faces, [FACES.index("window"), FACES.index("ceiling")])
    assert (rows["label"][unasked] == 65535).mean() > 0.9


def test_label_image_has_the_source_grid_and_255_for_none(node: Harness, views: list[View]) -> None:
    message = node.messages("segmentation/label")[-1]
    view = next(v for v in views if v.stamp_ns == stamp_to_ns(message.header.stamp))
    assert (message.height, message.width, message.encoding) == (HEIGHT, WIDTH, "mono8")
    assert message.header.frame_id == FRAME
    labels = np.asarray(message.data, np.uint8).reshape(HEIGHT, WIDTH)
    truth = np.full(view.label.shape, 255)
    for index, text in enumerate(QUERIES):
        truth[view.label == FACES.index(text)] = index
    assert (labels == truth).mean() > 0.95


def test_score_and_overlay_have_the_source_grid(node: Harness) -> None:
    score, mixed = node.messages("segmentation/score")[-1], node.messages("segmentation/overlay")[-1]
    assert (score.height, score.width, score.encoding) == (HEIGHT, WIDTH, "32FC1")
    assert (mixed.height, mixed.width, mixed.encoding) == (HEIGHT, WIDTH, "rgb8")
    values = np.asarray(score.data, np.uint8).view(np.float32)
    assert np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1 and values.max() > 0.5


def test_label_info_is_latched_and_names_the_queries(node: Harness) -> None:
    table = {c.class_id: c.class_name for c in node.messages("segmentation/label_info")[-1].class_map}
    assert table == {0: "wall", 1: "floor", 2: "cabinet", 255: "unlabelled"}


def test_only_the_unscaled_tree_is_on_tf(node: Harness) -> None:
    transforms = [t for m in node.messages("tf") for t in m.transforms]
    edges = {(t.header.frame_id, t.child_frame_id) for t in transforms}
    assert edges == {
        ("lsm_map_unscaled", "lsm_keyframe_unscaled"),
        ("lsm_keyframe_unscaled", "lsm_camera_unscaled"),
    }
    assert {stamp_to_ns(t.header.stamp) for t in transforms} <= set(kept_stamps(node))


def test_tf_is_published_before_the_cloud_that_needs_it(node: Harness) -> None:
    stamps = {stamp_to_ns(t.header.stamp) for m in node.messages("tf") for t in m.transforms}
    assert {stamp_to_ns(m.header.stamp) for m in node.messages("points")} <= stamps


def test_pair_poses_agree_with_the_truth(node: Harness, views: list[View]) -> None:
    poses = {v.stamp_ns: v.T_world_cam for v in views}
    for message in node.messages("pair_pose"):
        assert message.accepted and message.reason == "" and message.unit == PairPose.UNIT_RELATIVE
        assert message.header.frame_id == "lsm_keyframe_unscaled"
        assert message.child_frame_id == "lsm_camera_unscaled"
        older, newer = (poses[stamp_to_ns(s)] for s in (message.reference_stamp, message.header.stamp))
        truth = np.linalg.inv(older) @ newer
        T = matrix_from_pose(message.pose.pose)
        assert np.allclose(T[:3, :3], truth[:3, :3], atol=1e-4)
        direction = truth[:3, 3] / np.linalg.norm(truth[:3, 3])
        assert np.allclose(T[:3, 3] / np.linalg.norm(T[:3, 3]), direction, atol=1e-3)
        assert message.id > message.reference_id > 0 and message.inliers == 500


def test_randomly_rescaled_pairs_are_chained_to_the_true_path(node: Harness, views: list[View]) -> None:
    path = node.messages("path")[-1]
    assert path.header.frame_id == "lsm_map_unscaled"
    poses = {v.stamp_ns: v.T_world_cam for v in views}
    truth = np.stack([poses[stamp_to_ns(p.header.stamp)] for p in path.poses])
    heard = np.stack([matrix_from_pose(p.pose)[:3, 3] for p in path.poses])
    wanted = (np.linalg.inv(truth[0]) @ truth)[:, :3, 3]
    unit = np.linalg.norm(wanted[-1]) / np.linalg.norm(heard[-1])
    assert len(path.poses) == len(node.messages("pair_pose")) + 1
    assert np.abs(heard * unit - wanted).max() < 1e-2 * np.linalg.norm(wanted[-1])


def test_map_frame_poses_on_tf_agree_with_the_path(node: Harness) -> None:
    path, last = node.messages("path")[-1], node.messages("tf")[-1].transforms
    by_child = {t.child_frame_id: matrix_from_transform(t.transform) for t in last}
    T_map_cam = by_child["lsm_keyframe_unscaled"] @ by_child["lsm_camera_unscaled"]
    assert np.allclose(T_map_cam, matrix_from_pose(path.poses[-1].pose), atol=1e-6)


def test_scale_is_unknown_and_metric_products_are_withheld(node: Harness) -> None:
    assert node.messages("scale")[-1].state == Scale.UNKNOWN
    assert np.isnan(node.messages("scale")[-1].metres_per_unit)
    for name in ("depth/image", "depth/camera_info", "detections"):
        assert node.messages(name) == []


def test_qos_of_outputs_is_that_of_the_table(node: Harness) -> None:
    latched = {"map_points", "segmentation/label_info", "scale"}
    for name in TYPES:
        topic = "/diagnostics" if name == "diagnostics" else f"/lsm_perception/{name}"
        found = lambda topic=topic: node.client.get_publishers_info_by_topic(topic)  # noqa: E731
        assert wait_until(lambda found=found: len(found()) == 1), name
        (info,) = found()
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE, name
        wanted = DurabilityPolicy.TRANSIENT_LOCAL if name in latched else DurabilityPolicy.VOLATILE
        assert info.qos_profile.durability == wanted, name


def test_image_subscription_is_best_effort(node: Harness) -> None:
    (info,) = node.client.get_subscriptions_info_by_topic("/image")
    assert info.qos_profile.reliability == ReliabilityPolicy.BEST_EFFORT


def test_every_image_is_used_or_dropped_with_a_reason(node: Harness, views: list[View]) -> None:
    assert node.node.runtime is not None
    counts = node.node.runtime.account.counts()
    assert counts.delivered == len(views) == counts.used + sum(counts.dropped.values())
    assert counts.used == len(kept_stamps(node))
    refused = [m.reason for m in node.messages("keyframes") if m.action == Keyframe.REJECTED]
    assert sorted(refused) == sorted(r for r, n in counts.dropped.items() for _ in range(n))


def test_diagnostics_report_counts_and_scale(node: Harness, views: list[View]) -> None:
    assert wait_until(
        lambda: any(
            kv.key == "delivered" and kv.value == str(len(views))
            for m in node.messages("diagnostics")[-1:]
            for s in m.status
            for kv in s.values
        ),
        5.0,
    )
    names = {s.name.rpartition(": ")[2] for s in node.messages("diagnostics")[-1].status}
    assert names == {"input", "model", "qos", "camera", "scale"}
