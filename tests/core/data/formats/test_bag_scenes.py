"""Bags as data: poses of the camera from odometry, depth joined by time and moved into the picture's camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from robot_bag import Robot, write_robot_bag
from small_layouts import DISTANCE_M, K, record

from lsm_core.data.formats import open_dataset
from lsm_core.errors import FileFormatError


@pytest.mark.parametrize("encoding", ["16UC1", "32FC1"])
def test_a_bag_gives_pictures_with_metric_poses_and_depth(tmp_path: Path, encoding: str) -> None:
    recording = record()
    write_robot_bag(tmp_path / "bags" / "drive", recording, Robot(depth=encoding))
    data = open_dataset(tmp_path / "bags")
    assert (data.format, data.scenes) == ("ros2-bag", ("drive",))
    scene = data.scene("drive")
    assert scene.has_depth and scene.unit == "metric" and scene.usable() == [0, 1, 2, 3, 4, 5]
    first, last = scene.view(0), scene.view(5)
    np.testing.assert_array_equal(last.image, recording.images[5])
    np.testing.assert_allclose(last.K, K, atol=1e-5)
    T = np.linalg.inv(first.T_world_cam) @ last.T_world_cam
    np.testing.assert_allclose(T, np.linalg.inv(recording.poses[0]) @ recording.poses[5], atol=1e-9)
    assert last.depth is not None
    np.testing.assert_allclose(last.depth[1:], DISTANCE_M, atol=1e-6)
    assert last.depth[0, 0] == 0


def test_depth_of_another_camera_is_moved_into_the_picture(tmp_path: Path) -> None:
    T = np.eye(4)
    T[:3, 3] = 0.25, 0.0, -0.5  # the depth camera sits to the right of the colour camera, and behind it
    write_robot_bag(tmp_path / "drive", record(), Robot(T_camera_depth=T))
    depth = open_dataset(tmp_path / "drive").scene("drive").view(2).depth
    assert depth is not None
    np.testing.assert_allclose(depth[depth > 0], DISTANCE_M - 0.5, atol=1e-5)
    seen = np.flatnonzero((depth > 0).any(axis=0))
    # Column 0 of depth lies at x = -1.575 m of its camera, at -1.325 m and 2 m of the colour camera.
    assert seen[0] == max(0, round(50 * (-31.5 / 50 * DISTANCE_M + 0.25) / (DISTANCE_M - 0.5) + 31.5))


def test_depth_too_late_is_not_joined(tmp_path: Path) -> None:
    write_robot_bag(tmp_path / "drive", record(), Robot(depth_late_ns=40_000_000))
    scene = open_dataset(tmp_path / "drive").scene("drive")
    assert scene.usable() == []
    assert "no depth image within 20 ms" in str(scene.problem(0))


@pytest.mark.parametrize(
    ("leave_out", "message"),
    [
        (("/camera/camera_info", "/camera/depth/camera_info"), "no calibration for /camera/image_raw"),
        (("/odom",), "neither odometry nor tf that reaches the camera's frame 'camera_optical_frame'"),
        (("/tf_static",), "neither odometry nor tf"),
        (("/camera/image_raw",), "no colour image topic"),
    ],
)
def test_what_a_bag_lacks_is_named(tmp_path: Path, leave_out: tuple[str, ...], message: str) -> None:
    write_robot_bag(tmp_path / "drive", record(2), Robot(leave_out=leave_out))
    with pytest.raises(FileFormatError, match=message):
        open_dataset(tmp_path / "drive").scene("drive").view(0)


@pytest.mark.shared
def test_the_kitchen_bag_agrees_with_the_folder_it_was_made_from(shared_dir: Path) -> None:
    bag = open_dataset(shared_dir / "data" / "bags" / "hololens_kitchen").scene("hololens_kitchen")
    folder = open_dataset(shared_dir / "data" / "hololens_kitchen_dvmvs").scene("hololens_kitchen_dvmvs")
    names = (shared_dir / "data" / "hololens_kitchen_dvmvs" / "all_frame_names.txt").read_text().split()
    assert len(bag) == 373 and bag.usable() == list(range(373)) and not bag.has_depth
    assert len(folder) == 63 and folder.usable() == list(range(63)) and folder.has_depth
    numbers = [names.index(f"{folder.frames[i]}.png") for i in (0, 20, 62)]
    inside = [bag.view(n) for n in numbers]
    outside = [folder.view(i) for i in (0, 20, 62)]
    for a, b in zip(inside, outside, strict=True):
        assert np.abs(a.image.astype(int) - b.image).mean() < 4, "JPEG against PNG"
        np.testing.assert_allclose(a.K, b.K, atol=1e-3)
        T_bag = np.linalg.inv(inside[0].T_world_cam) @ a.T_world_cam
        T_folder = np.linalg.inv(outside[0].T_world_cam) @ b.T_world_cam
        np.testing.assert_allclose(T_bag, T_folder, atol=1e-4)
