"""`lsm data inspect` names format, scenes, pairs and what is missing, and draws a sheet."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from lsm_runner import Lsm

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "data" / "formats"))

from robot_bag import Robot, write_robot_bag
from small_layouts import K, nyuv2_folder, posed_folder, record, scannet_lsm, torch_chunks

from lsm_core.data.formats import FORMATS
from lsm_core.io import read_image


def test_a_folder_with_a_lost_pose_is_described_and_drawn(lsm: Lsm, tmp_path: Path) -> None:
    scannet_lsm(tmp_path, record(8))
    lost = np.full((4, 4), np.nan)
    np.savez(tmp_path / "scene0000_00" / "pose" / "000002.npz", camera_intrinsics=K, camera_pose=lost)
    code, text, _ = lsm("data", "inspect", tmp_path, "--sheet", tmp_path / "sheet.png")
    assert code == 0
    assert "scannet-lsm: 1 scene, 1 looked into" in text
    assert "8 frames, 1 unusable, 64x48, 0.7 m of way, poses (metric), depth on 100% of the pixels" in text
    assert "000002.npz' is not finite" in text and "trains lsm-tiny" in text
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape[1] == 1600 and len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100


def test_pairs_are_counted_by_overlap_with_depth_and_by_motion_without(lsm: Lsm, tmp_path: Path) -> None:
    write_robot_bag(tmp_path / "with" / "drive", record(6))
    write_robot_bag(tmp_path / "without" / "drive", record(6), Robot(depth=""))
    found = {}
    for name in ("with", "without"):
        code, text, _ = lsm("data", "inspect", tmp_path / name, "--json")
        assert code == 0
        (found[name],) = json.loads(text)["inspected"]
    # The wall is 3.2 m wide in a picture, frames are 0.1 m apart: all 15 pairs see at least 84 % of each other.
    assert (found["with"]["rule"], found["with"]["pairs"], found["with"]["trains_tiny"]) == ("overlap", 15, True)
    assert (found["without"]["rule"], found["without"]["pairs"]) == ("camera motion", 15)
    assert not found["without"]["trains_tiny"] and found["without"]["path_m"] == pytest.approx(0.5)


def test_scenes_without_poses_or_metres_say_so(lsm: Lsm, tmp_path: Path) -> None:
    nyuv2_folder(tmp_path / "nyu", record(2, 640, 480))
    assert "no poses, no depth, labels" in lsm("data", "inspect", tmp_path / "nyu")[1]
    torch_chunks(tmp_path / "chunks", record(4))
    text = lsm("data", "inspect", tmp_path / "chunks", "--scenes", 2)[1]
    assert "3 scenes, 2 looked into" in text and "poses (relative), no depth" in text


def test_a_bag_that_cannot_be_used_is_reported_with_what_it_lacks(lsm: Lsm, tmp_path: Path) -> None:
    write_robot_bag(tmp_path / "drive", record(3), Robot(leave_out=("/odom",)))
    code, text, _ = lsm("data", "inspect", tmp_path)
    assert code == 0
    assert "3 frames, 3 unusable" in text and "neither odometry nor tf" in text
    code, _, error = lsm("data", "inspect", tmp_path, "--sheet", tmp_path / "sheet.png")
    assert code == 1 and "can be shown" in error and not (tmp_path / "sheet.png").exists()


def test_faulty_pictures_are_reported_and_the_rest_is_read(lsm: Lsm, tmp_path: Path) -> None:
    posed_folder(tmp_path, record(8))
    (tmp_path / "images" / "00002.png").write_bytes(b"no picture")
    (row,) = json.loads(lsm("data", "inspect", tmp_path, "--json")[1])["inspected"]
    assert (row["frames"], row["read"]) == (4, 3)
    assert "00002.png" in row["problems"][0]


def test_formats_are_listed_and_wrong_ones_refused(lsm: Lsm, tmp_path: Path) -> None:
    listed = json.loads(lsm("data", "formats", "--json")[1])
    assert [row["format"] for row in listed] == [kind.format for kind in FORMATS]
    assert "SEQUENCE/{rgb.txt" in lsm("data", "formats")[1]
    code, _, error = lsm("data", "inspect", tmp_path)
    assert code == 1 and "no known layout" in error
