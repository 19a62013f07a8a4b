"""Every format is found by looking at it, and gives the pictures, cameras and depth that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_layouts import (
    DISTANCE_M,
    HEIGHT,
    LABEL,
    LAYOUTS,
    WIDTH,
    K,
    nyuv2_folder,
    posed_folder,
    record,
    scannet1500_loftr,
    scannet_export,
    scannet_lsm,
    scannet_lsm_test,
    scannetpp_splatt3r,
    seven_scenes,
    tum_rgbd,
)

from lsm_core.data.formats import open_dataset
from lsm_core.data.formats.scannet_lsm_test import LABELS
from lsm_core.data.formats.scannetpp_splatt3r import ScanNetppSplatt3r
from lsm_core.data.formats.seven_scenes import SevenScenes
from lsm_core.errors import FileFormatError, InputError


@pytest.mark.parametrize("case", LAYOUTS)
def test_each_layout_is_recognised_and_gives_its_frames(case: str, tmp_path: Path) -> None:
    name, write, scene_name, kept, has_depth = LAYOUTS[case]
    recording = record()
    root = tmp_path / name
    write(root, recording)
    data = open_dataset(root)
    assert data.format == name
    assert scene_name in data.scenes
    scene = data.scene(scene_name)
    assert len(scene) == len(kept) and scene.usable() == list(range(len(kept)))
    assert scene.has_depth == has_depth
    views = [scene.view(i) for i in range(len(scene))]
    T_0_i = [np.linalg.inv(views[0].T_world_cam) @ v.T_world_cam for v in views]
    expected = [np.linalg.inv(recording.poses[kept[0]]) @ recording.poses[i] for i in kept]
    np.testing.assert_allclose(T_0_i, expected, atol=1e-4)
    for view, i in zip(views, kept, strict=True):
        assert np.abs(view.image.astype(int) - recording.images[i]).mean() < 8
        np.testing.assert_allclose(view.K, K, atol=1e-4)
        assert view.image.shape == (HEIGHT, WIDTH, 3)
        if has_depth:
            assert view.depth is not None
            np.testing.assert_allclose(view.depth[1:], DISTANCE_M, atol=1e-3)
            assert view.depth[0, 0] == 0


def test_no_picture_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    scannet_lsm(tmp_path, record())
    for picture in tmp_path.glob("*/color/*.png"):
        picture.write_bytes(b"no picture")
    scene = open_dataset(tmp_path).scene("scene0000_00")
    assert scene.pose(2)[0, 3] == pytest.approx(0.2)
    with pytest.raises(FileFormatError, match=r"000002\.png"):
        scene.view(2)


def test_lsm_test_labels_become_its_eight_classes(tmp_path: Path) -> None:
    scannet_lsm_test(tmp_path, record())
    data = open_dataset(tmp_path)
    assert data.scenes == ("scene0686_01",), "scene0696_02 is left out by the protocol"
    label = data.scene("scene0686_01").view(0).label
    assert label is not None
    assert (label[:, : WIDTH // 2] == 0).all()
    assert (label[:, WIDTH // 2 :] == LABELS.index("chair") + 1).all()


def test_pictures_of_an_exported_scannet_scene_are_scaled_to_the_depth(tmp_path: Path) -> None:
    scannet_export(tmp_path, record(2, 640, 480))
    view = open_dataset(tmp_path).scene("scene0001_00").view(1)
    assert view.size == (480, 640) and view.depth is not None
    assert view.K[0, 0] == pytest.approx(500)


def test_long_scannetpp_scenes_are_thinned_to_every_nth_picture(tmp_path: Path) -> None:
    dslr = tmp_path / "fb564c935d" / "dslr"
    for folder in ("rgb_resized_undistorted", "camera"):
        (dslr / folder).mkdir(parents=True)
    for number in range(401):
        (dslr / "rgb_resized_undistorted" / f"DSC{number:05d}.JPG").touch()
    frames = open_dataset(tmp_path).scene("fb564c935d").frames
    assert frames[:3] == ("DSC00000", "DSC00002", "DSC00004") and len(frames) == 201


def test_splatt3r_leaves_bad_frames_and_scenes_out(tmp_path: Path) -> None:
    scannetpp_splatt3r(tmp_path, record())
    data = open_dataset(tmp_path)
    assert isinstance(data, ScanNetppSplatt3r)
    assert data.split("train") == ("aaaa000000",)
    assert "DSC00001" not in data.scene("aaaa000000").frames


def test_seven_scenes_has_its_published_camera_and_splits(tmp_path: Path) -> None:
    seven_scenes(tmp_path, record(2, 640, 480))
    (tmp_path / "chess" / "K.txt").unlink()
    data = open_dataset(tmp_path)
    assert isinstance(data, SevenScenes)
    assert data.split("chess", "train") == ("chess/seq-01",)
    assert data.scene("chess/seq-01").view(0).K[0, 0] == 585


def test_tum_pictures_are_straightened_with_the_camera_of_their_name(tmp_path: Path) -> None:
    tum_rgbd(tmp_path, record(2, 640, 480))
    (tmp_path / "rgbd_dataset_freiburg1_wall" / "K.txt").unlink()
    view = open_dataset(tmp_path).scene("rgbd_dataset_freiburg1_wall").view(0)
    assert view.K[0, 0] == pytest.approx(517.3) and view.depth is not None
    assert view.depth[240, 320] == pytest.approx(DISTANCE_M)
    assert (view.depth == 0).mean() > 0.001, "corners lie outside the distorted picture"


def test_loftr_pairs_are_scenes_of_two_frames(tmp_path: Path) -> None:
    recording = record(4, 640, 480)
    scannet1500_loftr(tmp_path, recording)
    scene = open_dataset(tmp_path).scene("0001-scene0707_00")
    first, second = scene.view(0), scene.view(1)
    T = np.linalg.inv(first.T_world_cam) @ second.T_world_cam
    np.testing.assert_allclose(T, np.linalg.inv(recording.poses[0]) @ recording.poses[3], atol=1e-6)


def test_a_folder_of_nyu_pictures_has_labels_and_no_poses(tmp_path: Path) -> None:
    nyuv2_folder(tmp_path, record(2, 640, 480))
    scene = open_dataset(tmp_path).scene("labelled")
    view = scene.view(1)
    assert not scene.has_poses and view.label is not None
    assert set(np.unique(view.label)) == {0, LABEL}


def test_poses_may_be_one_file_per_picture(tmp_path: Path) -> None:
    recording = record()
    posed_folder(tmp_path, recording)
    (tmp_path / "poses.txt").unlink()
    (tmp_path / "poses").mkdir()
    for i in (0, 2, 4):
        np.savetxt(tmp_path / "poses" / f"{i:05d}.txt", recording.poses[i])
    scene = open_dataset(tmp_path).scene(tmp_path.name)
    np.testing.assert_allclose(scene.pose(2), recording.poses[4])


def test_an_unknown_folder_format_or_scene_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileFormatError, match="no known layout"):
        open_dataset(tmp_path)
    with pytest.raises(FileFormatError, match="There is no"):
        open_dataset(tmp_path / "missing")
    scannet_lsm(tmp_path, record(2))
    with pytest.raises(InputError, match="no format 'scannet'"):
        open_dataset(tmp_path, "scannet")
    with pytest.raises(FileFormatError, match="does not look like tum-rgbd"):
        open_dataset(tmp_path, "tum-rgbd")
    with pytest.raises(InputError, match="scene0000_00"):
        open_dataset(tmp_path).scene("scene0000_01")
