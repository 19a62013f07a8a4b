"""The node with splatt3r, noposplat and pixelsplat over DDS, on small checkpoints in their official formats.

Those of the first two know the walk. pixelSplat's numbers are random: its poses come from odometry, and they are
what makes its pairs good.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from waiting import wait_until

pytestmark = pytest.mark.ros
pytest.importorskip("rclpy", reason="ROS 2 is not here: source tools/env.sh")
pytest.importorskip("lsm_perception_msgs.msg", reason="the workspace is not built: ./run setup")

from fitted_checkpoints import KnownView
from fitted_splats import write_fitted_noposplat, write_fitted_splatt3r
from harness import Harness, camera_info
from known_scene import walk_slowly
from lsm_perception.conversions.poses import matrix_from_pose
from lsm_perception_msgs.msg import PairPose, ResultCode
from lsm_perception_msgs.srv import QueryText
from sensor_msgs_py import point_cloud2
from synthetic_world import HEIGHT, WIDTH, K, View, walk

from lsm_core import load_backend
from lsm_core.backends import Backend
from lsm_core.backends.seeded import sized_options, write_seeded

PATIENCE_S = 180.0  # a loaded machine takes its time
LISTEN = ("keyframes", "points", "gaussians", "pair_pose")
SIZES = {"splatt3r": 256, "noposplat": 256, "pixelsplat": 64}
GAUSSIANS_PER_PAIR = {"splatt3r": 2 * 256**2, "noposplat": 2 * 256**2, "pixelsplat": 2 * 3 * 64**2}


def sized(name: str, device: str, weights: Path | None) -> Backend:
    """Load a backend for small images."""
    options = sized_options(name, SIZES[name]) if name in SIZES else None
    return load_backend(name, device, weights, options=options)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return walk(3, step_m=0.15)[::2]


def calibrate(harness: Harness) -> None:
    """Send camera_info until the node has heard it: pixelSplat takes no image without."""
    (context,) = harness.node.runtime.cameras.values()  # type: ignore[union-attr]

    def heard() -> bool:
        harness.infos.publish(camera_info(1))
        return context.stream.calibration.heard

    assert wait_until(heard, PATIENCE_S)


def started(name: str, weights: Path, parameters: dict[str, Any], namespace: str) -> Harness:
    """Return an active node that has made its model itself."""
    chosen = {"backend": name, "weights": str(weights), "device": "cpu", **parameters}
    harness = Harness(None, chosen, LISTEN, namespace, load=sized)
    try:
        assert wait_until(lambda: harness.node.state_label == "active", PATIENCE_S)
        harness.wait_active()
        harness.wait_connected(*LISTEN)
        calibrate(harness)
    except AssertionError:
        harness.close()
        raise
    return harness


@pytest.fixture(scope="module", params=["splatt3r", "noposplat", "pixelsplat"])
def node(
    rclpy_session: None, request: pytest.FixtureRequest, views: list[View], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Harness]:
    """A node of each backend, with odometry, after a step."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    path = folder / f"{name}.ckpt"
    known = [KnownView(view.rgb, view.depth, view.label, view.T_world_cam, K) for view in views]
    if name == "splatt3r":
        write_fitted_splatt3r(path, known)
    elif name == "noposplat":
        write_fitted_noposplat(path, known)
    else:
        write_seeded(name, folder)
    # Depths of random weights jump from pixel to pixel: none is left out as an edge.
    harness = started(name, path, {"points.max_edge": 10.0}, f"splats_{name}")
    try:
        harness.send_odometry(views)
        walk_slowly(harness, views, PATIENCE_S)
        assert wait_until(lambda: len(harness.messages("pair_pose")) >= 1, PATIENCE_S)
        yield harness
    finally:
        harness.close()


def backend_of(node: Harness) -> str:
    assert node.node.runtime is not None
    return node.node.runtime.backend.name


def test_the_pair_is_accepted_and_right(node: Harness, views: list[View]) -> None:
    pairs: list[PairPose] = node.messages("pair_pose")
    assert [pair.accepted for pair in pairs] == [True], [pair.reason for pair in pairs]
    T = np.linalg.inv(views[0].T_world_cam) @ views[1].T_world_cam
    found = matrix_from_pose(pairs[0].pose.pose)
    np.testing.assert_allclose(found[:3, :3], T[:3, :3], atol=0.005)
    directions = [t / np.linalg.norm(t) for t in (found[:3, 3], T[:3, 3])]
    np.testing.assert_allclose(*directions, atol=0.05)


def test_clouds_and_gaussians_come(node: Harness) -> None:
    assert wait_until(lambda: node.messages("points") and node.messages("gaussians"), PATIENCE_S)
    points = point_cloud2.read_points_numpy(node.messages("points")[-1], ["x", "y", "z"])
    assert len(points) > 100 and np.isfinite(points).all() and (points[:, 2] > 0).all()
    scene = node.messages("gaussians")[-1]
    assert {"x", "y", "z", "opacity", "scale_0", "rot_0", "f_dc_0"} <= {field.name for field in scene.fields}
    assert 0 < scene.width * scene.height <= GAUSSIANS_PER_PAIR[backend_of(node).split("+")[0]]


def test_the_tree_of_frames_is_published(node: Harness) -> None:
    sent = {(t.header.frame_id, t.child_frame_id) for m in node.messages("tf") for t in m.transforms}
    assert ("lsm_map_unscaled", "lsm_keyframe_unscaled") in sent or ("lsm_map", "lsm_keyframe") in sent, sent
    assert ("lsm_keyframe_unscaled", "lsm_camera_unscaled") in sent or ("lsm_keyframe", "lsm_camera") in sent


def test_words_are_those_of_lsm_tiny(node: Harness) -> None:
    assert backend_of(node).endswith("+lsm-tiny")
    reply = node.call(QueryText, "query_text", PATIENCE_S, texts=["floor", "cabinet"])
    assert reply.success, reply.message
    assert [(mask.width, mask.height) for mask in reply.masks] == [(WIDTH, HEIGHT)] * 2


def test_without_odometry_pixelsplat_says_what_to_connect_or_asks_another_model(
    rclpy_session: None, views: list[View], tmp_path: Path
) -> None:
    path = write_seeded("pixelsplat", tmp_path)
    assert path is not None
    harness = started("pixelsplat", path, {"semantics.source": "none"}, "splats_alone")
    try:
        walk_slowly(harness, views, PATIENCE_S)
        runtime = harness.node.runtime
        assert runtime is not None
        (context,) = runtime.cameras.values()
        assert wait_until(lambda: context.pipeline.last_error != "", PATIENCE_S)
        assert "must be told where its cameras stood" in context.pipeline.last_error
        assert (
            "odom_frame" in context.pipeline.last_error and "poses.backend:=lsm-tiny" in context.pipeline.last_error
        )
        assert not harness.messages("pair_pose") and runtime.account.counts().delivered == len(views)
        reply = harness.call(QueryText, "query_text", PATIENCE_S, texts=["floor"])
        assert (reply.success, reply.code) == (False, ResultCode.UNSUPPORTED)
    finally:
        harness.close()
    harness = started("pixelsplat", path, {"semantics.source": "none", "poses.backend": "lsm-tiny"}, "splats_asks")
    try:
        walk_slowly(harness, views, PATIENCE_S)
        assert wait_until(lambda: len(harness.messages("pair_pose")) == 1, PATIENCE_S)
        (context,) = harness.node.runtime.cameras.values()  # type: ignore[union-attr]
        assert context.pipeline.last_error == ""
    finally:
        harness.close()
