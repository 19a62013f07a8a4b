"""Poses, clouds and Gaussians between arrays and messages."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tf_transformations
import torch

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from geometry_msgs.msg import Point, Pose, Quaternion
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from lsm_perception.conversions.clouds import POINT_STEP, cloud_message, gaussians_message
from lsm_perception.conversions.poses import (
    matrix_from_pose,
    pose_from_wxyz,
    pose_message,
    quaternion_xyzw,
    transform_message,
)
from lsm_perception.conversions.semantics import UNLABELLED, label_info_message, label_message, overlay, palette
from lsm_perception.frames import frame_names
from scipy.spatial.transform import Rotation
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header

from lsm_core.errors import InputError
from lsm_core.mapping import NO_LABEL, PointCloud
from lsm_core.types import Gaussians

FINITE = st.floats(-1e6, 1e6)


@given(
    arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1),
    st.tuples(FINITE, FINITE, FINITE),
)
def test_poses_survive_a_round_trip(quaternion: np.ndarray, translation: tuple[float, ...]) -> None:
    T = np.eye(4)
    T[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    T[:3, 3] = translation
    message = pose_message(T)
    q = message.orientation
    assert math.isclose(q.x**2 + q.y**2 + q.z**2 + q.w**2, 1.0, abs_tol=1e-9)
    assert np.allclose(matrix_from_pose(message), T, atol=1e-9)


def test_quaternions_are_those_of_tf_transformations() -> None:
    rng = np.random.default_rng(0)
    turns = [Rotation.from_quat(q).as_matrix() for q in (*rng.normal(size=(200, 4)), *np.eye(4))]
    turns += [R + rng.normal(0, 1e-7, (3, 3)) for R in turns]  # as single precision leaves them
    for R in turns:
        T = np.eye(4)
        T[:3, :3] = R
        expected = np.asarray(tf_transformations.quaternion_from_matrix(T))
        found = np.array(quaternion_xyzw(T))
        assert abs(float(found @ found) - 1) < 1e-12 and found[3] >= 0
        assert min(np.abs(found - expected).max(), np.abs(found + expected).max()) < 1e-6


def test_messages_have_xyzw_and_lsm_core_has_wxyz() -> None:
    pose = pose_from_wxyz(np.array([1.0, 2.0, 3.0]), np.array([math.cos(0.3), 0.0, 0.0, math.sin(0.3)]))
    T = matrix_from_pose(pose)
    q = pose_message(T).orientation
    assert np.allclose([q.x, q.y, q.z, q.w], [0, 0, math.sin(0.3), math.cos(0.3)])
    moved = transform_message(T, "a", "b", 1_500_000_000)
    assert (moved.header.frame_id, moved.child_frame_id) == ("a", "b")
    assert (moved.header.stamp.sec, moved.header.stamp.nanosec) == (1, 500_000_000)
    assert (moved.transform.translation.x, moved.transform.translation.z) == (1.0, 3.0)


@pytest.mark.parametrize(
    "pose",
    [
        Pose(orientation=Quaternion(w=0.0)),
        Pose(orientation=Quaternion(w=float("nan"))),
        Pose(position=Point(x=float("inf"))),
    ],
)
def test_poses_that_are_none_are_refused(pose: Pose) -> None:
    with pytest.raises(InputError):
        matrix_from_pose(pose)


def cloud(points: np.ndarray) -> PointCloud:
    n = len(points)
    rng = np.random.default_rng(1)
    return PointCloud(
        points.astype(np.float32),
        rng.integers(0, 256, (n, 3), dtype=np.uint8),
        rng.uniform(0, 5, n).astype(np.float32),
        rng.choice(np.array([0, 3, NO_LABEL], np.uint16), n),
        rng.uniform(0, 1, n).astype(np.float32),
    )


@settings(deadline=None)
@given(arrays(np.float32, st.tuples(st.integers(0, 40), st.just(3)), elements=st.floats(width=32)))
def test_clouds_keep_every_finite_point_and_no_other(points: np.ndarray) -> None:
    given_cloud = cloud(points)
    message = cloud_message(given_cloud, Header(frame_id="f"))
    kept = np.isfinite(points).all(1)
    assert message.width == kept.sum() and message.height == 1 and message.is_dense
    assert message.point_step == POINT_STEP and message.row_step == POINT_STEP * message.width == len(message.data)
    rows = point_cloud2.read_points(message)
    assert np.array_equal(np.stack([rows["x"], rows["y"], rows["z"]], -1), points[kept])
    for name in ("confidence", "label", "score"):
        assert np.array_equal(rows[name], getattr(given_cloud, name)[kept])


def test_colours_are_packed_as_rviz_reads_them() -> None:
    one = PointCloud(
        np.zeros((1, 3), np.float32), np.array([[1, 2, 3]], np.uint8), np.ones(1, np.float32),
        np.zeros(1, np.uint16), np.ones(1, np.float32),
    )  # fmt: skip
    data = bytes(cloud_message(one, Header()).data)
    assert data[12:16] == bytes([3, 2, 1, 0])  # little-endian 0x00RRGGBB


def test_gaussians_have_the_fields_and_codings_of_3dgs_files() -> None:
    gaussians = Gaussians(
        torch.tensor([[1.0, 2, 3]]), torch.tensor([[0.5, 0.5, 0.5, 0.5]]), torch.tensor([[0.1, 0.2, 0.3]]),
        torch.tensor([0.8]), torch.tensor([[[0.4, 0.5, 0.6]]]),
    )  # fmt: skip
    row = point_cloud2.read_points(gaussians_message(gaussians, Header()))[0]
    assert (row["x"], row["y"], row["z"]) == (1, 2, 3)
    assert row["opacity"] == pytest.approx(math.log(4)) and row["scale_1"] == pytest.approx(math.log(0.2))
    assert row["rot_0"] == 0.5 and row["f_dc_2"] == pytest.approx(0.6)


def test_labels_become_255_where_there_is_none() -> None:
    message = label_message(np.array([[0, -1], [7, -1]], np.int32), Header())
    assert bytes(message.data) == bytes([0, UNLABELLED, 7, UNLABELLED]) and message.encoding == "mono8"


def test_overlay_changes_labelled_pixels_only() -> None:
    rgb = np.full((4, 4, 3), 100, np.uint8)
    labels = np.full((4, 4), -1, np.int32)
    labels[1, 1] = 2
    mixed = overlay(rgb, labels, 3)
    changed = (mixed != rgb).any(-1)
    assert changed[1, 1] and changed.sum() == 1 and (rgb == 100).all()


def test_colours_of_labels_do_not_depend_on_how_many_there_are() -> None:
    assert np.array_equal(palette(64)[:5], palette(5)) and len(np.unique(palette(20), axis=0)) == 20


def test_label_table_names_every_text() -> None:
    message = label_info_message(["chair", "sofa"], 0.4, Header())
    assert [(c.class_id, c.class_name) for c in message.class_map] == [
        (0, "chair"),
        (1, "sofa"),
        (255, "unlabelled"),
    ]


def test_frame_names_have_prefix_and_camera() -> None:
    plain = frame_names("", "", "odom")
    assert (plain.metric.map, plain.unscaled.camera) == ("lsm_map", "lsm_camera_unscaled")
    several = frame_names("r1/", "left", "r1/odom")
    assert several.tree(True).keyframe == "r1/left_lsm_keyframe" and several.odom == "r1/odom"
    assert several.tree(False).map == "r1/left_lsm_map_unscaled"
