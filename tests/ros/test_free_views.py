"""~/render_view and query target CAMERA over DDS: picture, depth, words and frames; bad requests refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fake_backend import FakeBackend
from geometry_msgs.msg import PoseStamped
from harness import Harness
from lsm_perception.conversions.camera_info import info_message
from lsm_perception.conversions.poses import pose_message
from lsm_perception_msgs.msg import PairPose, ResultCode, Scale
from lsm_perception_msgs.srv import QueryText, RenderView, Reset
from sensor_msgs.msg import CameraInfo
from sensor_msgs_py import point_cloud2
from std_msgs.msg import Header
from synthetic_world import FACES, K, View, walk

UNSCALED, METRIC = "lsm_map_unscaled", "lsm_map"
LISTEN = ("keyframes", "scale", "pair_pose")
HALF = np.array([[130.0, 0, 79.5], [0, 130.0, 59.5], [0, 0, 1]])  # K of 160x120


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(14)


@pytest.fixture(scope="module")
def node(rclpy_session: None, views: list[View]) -> Iterator[Harness]:
    """A node that knows metres, after half a walk."""
    harness = Harness(FakeBackend(views), {"map.max_view_pixels": 320 * 240}, listen=LISTEN)
    harness.wait_active()
    harness.wait_connected(*LISTEN)
    harness.send_odometry(views)
    harness.walk(views[:9])
    assert wait_until(
        lambda: bool(harness.messages("scale")) and harness.messages("scale")[-1].state == Scale.METRIC
    )
    # The first picture of a process builds the rasterizer's kernels where none are kept on disk.
    first = harness.call(
        RenderView, "render_view", 120.0, camera_info=pinhole(16, 12), camera_pose=placed(UNSCALED)
    )
    assert first.success, first.message
    yield harness
    harness.close()


def placed(frame: str, T: Any = None) -> PoseStamped:
    return PoseStamped(header=Header(frame_id=frame), pose=pose_message(np.eye(4) if T is None else T))


def pinhole(width: int = 160, height: int = 120, matrix: Any = HALF) -> CameraInfo:
    return info_message(matrix, width, height, Header())


def newest(node: Harness) -> Any:
    runtime = node.node.runtime
    assert runtime is not None
    return runtime.cameras[""].mapper.latest()


def rows(message: Any, dtype: Any, channels: int = 1) -> np.ndarray:
    shape = (message.height, message.width) + ((channels,) if channels > 1 else ())
    return np.frombuffer(message.data, dtype).reshape(shape)


def view_of(node: Harness, views: list[View]) -> View:
    return next(v for v in views if v.stamp_ns == newest(node).stamp_ns)


def test_the_view_of_a_keyframe_looks_like_its_image(node: Harness, views: list[View]) -> None:
    runtime = node.node.runtime
    assert runtime is not None
    keyframe, seen = newest(node), view_of(node, views)
    unit = runtime.cameras[""].mapper.scale.metres_per_unit
    reply = node.call(
        RenderView, "render_view", camera_info=pinhole(), camera_pose=placed(UNSCALED, keyframe.T_map_cam)
    )
    assert reply.success and reply.unit == PairPose.UNIT_RELATIVE, reply.message
    assert reply.image.header.frame_id == UNSCALED and (reply.image.width, reply.image.height) == (160, 120)
    solid = rows(reply.alpha, np.uint8) > 200
    assert solid.mean() > 0.9
    depth = rows(reply.depth, np.float32)
    wanted = seen.depth[::2, ::2] / unit
    assert np.nanmedian(np.abs(depth - wanted)[solid] / wanted[solid]) < 0.03
    picture, image = (
        cv2.blur(a, (9, 9))[solid].ravel() for a in (rows(reply.image, np.uint8, 3), seen.rgb[::2, ::2])
    )
    assert np.corrcoef(picture.astype(float), image.astype(float))[0, 1] > 0.8


def test_depth_is_in_metres_in_a_metric_frame_and_a_frame_of_the_robot_means_the_same(
    node: Harness, views: list[View]
) -> None:
    runtime = node.node.runtime
    assert runtime is not None
    keyframe, seen = newest(node), view_of(node, views)
    T = keyframe.T_map_cam.copy()
    T[:3, 3] *= runtime.cameras[""].mapper.scale.metres_per_unit
    by_map = node.call(RenderView, "render_view", camera_info=pinhole(), camera_pose=placed(METRIC, T))
    by_odom = node.call(
        RenderView, "render_view", camera_info=pinhole(), camera_pose=placed("odom", keyframe.T_odom_cam)
    )
    for reply in (by_map, by_odom):
        assert reply.success and reply.unit == PairPose.UNIT_METRIC, reply.message
        depth = rows(reply.depth, np.float32)
        wanted = seen.depth[::2, ::2]
        assert np.nanmedian(np.abs(depth - wanted) / wanted) < 0.03
    assert by_odom.depth.header.frame_id == "odom"


def test_words_in_a_free_view_are_where_they_are(node: Harness, views: list[View]) -> None:
    keyframe, seen = newest(node), view_of(node, views)
    passes = node.backend.predictions
    texts = ["cabinet", "floor", "door"]
    reply = node.call(
        QueryText, "query_text", texts=texts, target=QueryText.Request.CAMERA,
        camera_info=pinhole(320, 240, K), camera_pose=placed("odom", keyframe.T_odom_cam),
    )  # fmt: skip
    assert reply.success and reply.keyframe_id == 0 and reply.header.frame_id == "odom", reply.message
    for mask, text in zip(reply.masks, texts, strict=True):
        found, wanted = rows(mask, np.uint8) > 0, seen.label == FACES.index(text)
        union = (found | wanted).sum()
        assert union == 0 or (found & wanted).sum() / union > 0.85, text
    assert reply.presence[0] > 0.8 and reply.presence[2] < 0.2 and list(reply.centroid_valid) == [True, True, False]
    assert (
        reply.unit == PairPose.UNIT_METRIC and reply.points.header.frame_id == "odom" and reply.objects.detections
    )
    points = point_cloud2.read_points_numpy(reply.points, ["x", "y", "z"])
    assert len(points) > 500
    depth = seen.depth[seen.label == FACES.index("cabinet")]
    T_cam_odom = np.linalg.inv(keyframe.T_odom_cam)
    c = reply.centroids[0]
    assert (T_cam_odom @ [c.x, c.y, c.z, 1])[2] == pytest.approx(np.median(depth), rel=0.03)
    assert node.backend.predictions == passes


def test_masks_and_features_come_with_a_view(node: Harness) -> None:
    asked = {"camera_info": pinhole(), "camera_pose": placed(UNSCALED, newest(node).T_map_cam)}
    reply = node.call(RenderView, "render_view", texts=["cabinet", "door"], features=True, **asked)
    assert reply.success and len(reply.masks) == 2 and reply.presence[0] > reply.presence[1], reply.message
    cabinet = rows(reply.masks[0], np.uint8) > 0
    colours = rows(reply.features_image, np.uint8, 3).astype(float)
    assert colours.std(axis=(0, 1)).max() > 10
    inside, outside = colours[cabinet], colours[~cabinet & (rows(reply.alpha, np.uint8) > 200)]
    assert np.abs(inside.mean(0) - outside.mean(0)).max() > 3 * inside.std(axis=0).max()
    plain = node.call(RenderView, "render_view", **asked)
    assert not plain.masks and not plain.features_image.data


def test_a_view_does_not_wait_for_a_running_inference(node: Harness, views: list[View]) -> None:
    runtime = node.node.runtime
    assert runtime is not None
    node.hold_inference(views[9:])
    asked = {"camera_info": pinhole(), "camera_pose": placed(UNSCALED)}
    assert node.call(RenderView, "render_view", 8.0, **asked).success
    words = {"texts": ["wall"], "target": QueryText.Request.CAMERA}
    assert node.call(QueryText, "query_text", 8.0, **words, **asked).success
    assert runtime.account.counts().pending > 0
    node.backend.release.set()
    node.settle()


def changed(info: CameraInfo, **fields: Any) -> CameraInfo:
    for name, value in fields.items():
        setattr(info, name, value)
    return info


FAR = np.eye(4)
FAR[0, 3] = 1e30


@pytest.mark.parametrize(
    ("info", "pose", "code", "word"),
    [
        (CameraInfo(), placed(UNSCALED), ResultCode.BAD_REQUEST, "width"),
        (pinhole(321, 240), placed(UNSCALED), ResultCode.BAD_REQUEST, "max_view_pixels"),
        (pinhole(2**31 - 1, 2**31 - 1), placed(UNSCALED), ResultCode.BAD_REQUEST, "max_view_pixels"),
        (changed(pinhole(), k=[0.0] * 9), placed(UNSCALED), ResultCode.BAD_REQUEST, "focal"),
        (changed(pinhole(), k=[float("nan")] * 9), placed(UNSCALED), ResultCode.BAD_REQUEST, "focal"),
        (
            changed(pinhole(), k=[130.0, 0.0, 1e30, 0.0, 130.0, 0.0, 0.0, 0.0, 1.0]),
            placed(UNSCALED),
            ResultCode.BAD_REQUEST,
            "k",
        ),
        (pinhole(), placed(UNSCALED, FAR), ResultCode.BAD_REQUEST, "camera_pose"),
        (pinhole(), PoseStamped(header=Header(frame_id=UNSCALED)), None, ""),
        (pinhole(), placed("nowhere"), ResultCode.NOT_FOUND, "nowhere"),
        (pinhole(), placed(""), ResultCode.NOT_FOUND, ""),
    ],
)
def test_views_that_cannot_be_drawn_are_refused(node: Harness, info: Any, pose: Any, code: Any, word: str) -> None:
    if code is None:  # a pose without rotation
        pose.pose.orientation.w = 0.0
        code, word = ResultCode.BAD_REQUEST, "quaternion"
    for kind, name, more in (
        (RenderView, "render_view", {}),
        (QueryText, "query_text", {"texts": ["wall"], "target": QueryText.Request.CAMERA}),
    ):
        reply = node.call(kind, name, camera_info=info, camera_pose=pose, **more)
        assert (reply.success, reply.code) == (False, code) and word in reply.message, reply.message


def test_without_metres_only_the_unscaled_map_has_a_place_and_without_a_map_nothing(node: Harness) -> None:
    """Last in this file: it forgets the map."""
    assert node.call(Reset, "reset").success
    for frame, code in (
        (METRIC, ResultCode.NO_SCALE),
        ("odom", ResultCode.NOT_FOUND),
        (UNSCALED, ResultCode.NOT_READY),
    ):
        reply = node.call(RenderView, "render_view", camera_info=pinhole(), camera_pose=placed(frame))
        assert (reply.success, reply.code) == (False, code), (frame, reply.message)
