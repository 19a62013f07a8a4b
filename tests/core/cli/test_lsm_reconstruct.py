"""`lsm reconstruct` on images: files, honesty about poses, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lsm_runner import Lsm
from PIL import Image

from lsm_core.io import read_gaussians, read_image, read_point_cloud, write_png

Pair = tuple[Path, Path]


def test_two_images_become_cloud_gaussians_poses_and_depth(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    code, text, _ = lsm("reconstruct", *pair, "-o", tmp_path / "o", "-b", "wall")
    assert code == 0 and "from camera 0" in text
    cloud = read_point_cloud(tmp_path / "o" / "points.ply")
    np.testing.assert_allclose(cloud.points[:, 2], 2, atol=1e-5)
    assert len(read_gaussians(tmp_path / "o" / "gaussians.ply")) == 2400
    record = json.loads((tmp_path / "o" / "poses.json").read_text())
    np.testing.assert_allclose(np.array(record["views"][1]["T_cam0_cam"])[:3, 3], [0.2, 0, 0], atol=1e-6)
    assert record["unit"] == "relative"
    for view in range(2):
        steps = np.array(Image.open(tmp_path / "o" / f"depth_{view}.png"))
        np.testing.assert_allclose(steps * record["views"][view]["depth_unit_per_step"], 2, rtol=1e-3)
    assert read_image(tmp_path / "o" / "sheet.png").shape[1] == 1600


def test_intrinsics_in_the_record_are_those_of_the_image(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    lsm("reconstruct", *pair, "-o", tmp_path / "o", "-b", "wall")
    K = np.array(json.loads((tmp_path / "o" / "poses.json").read_text())["views"][0]["K"])
    assert K[0, 0] == pytest.approx(70)  # the model grid is half as wide as the image


def test_no_pose_is_claimed_when_there_is_none(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    write_png(pair[0], np.zeros((60, 80, 3), np.uint8))
    code, _, errors = lsm("reconstruct", *pair, "-o", tmp_path / "o", "-b", "wall")
    assert code == 1 and "No relative pose" in errors and "Traceback" not in errors
    record = json.loads((tmp_path / "o" / "poses.json").read_text())
    assert record["views"][1]["pose_valid"] is False and record["views"][1]["T_cam0_cam"] is None
    assert not (tmp_path / "o" / "gaussians.ply").exists()
    assert len(read_point_cloud(tmp_path / "o" / "points.ply")) <= 1200  # the first view's only


def test_queries_label_the_points_and_give_masks(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    code, text, _ = lsm("reconstruct", *pair, "-o", tmp_path / "o", "-b", "wall", "-q", "red chair", "-q", "lamp")
    assert code == 0 and "'red chair': in view" in text and "'lamp': not seen" in text
    mask = np.array(Image.open(tmp_path / "o" / "mask_0_red_chair.png"))
    assert mask[:, :40].min() == 255 and mask[:, 40:].max() == 0
    cloud = read_point_cloud(tmp_path / "o" / "points.ply")
    assert cloud.names == ("red chair", "lamp") and cloud.label is not None
    assert set(np.unique(cloud.label)) == {-1, 0}


def test_json_output_is_one_object(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    code, text, _ = lsm("reconstruct", *pair, "-o", tmp_path / "o", "-b", "wall", "--json")
    assert code == 0 and json.loads(text)["gaussians"] == 2400


@pytest.mark.parametrize("as_json", [False, True])
def test_a_missing_file_is_one_line_with_the_fix(lsm: Lsm, pair: Pair, tmp_path: Path, as_json: bool) -> None:
    words = ("reconstruct", pair[0], tmp_path / "none.png", "-o", tmp_path / "o", "-b", "wall")
    code, text, errors = lsm(*words, *(["--json"] if as_json else []))
    assert code == 1 and not (tmp_path / "o").exists()
    if as_json:
        assert json.loads(text)["code"] == "bad_file"
    else:
        assert len(errors.strip().splitlines()) == 1 and "none.png" in errors and "Fix:" in errors


def test_debug_shows_the_traceback(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    code, _, errors = lsm("reconstruct", pair[0], tmp_path / "none.png", "-b", "wall", "--debug")
    assert code == 1 and "Traceback" in errors


def test_a_text_file_is_no_image(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    (tmp_path / "t.jpg").write_text("not an image")
    code, _, errors = lsm("reconstruct", pair[0], tmp_path / "t.jpg", "-b", "wall")
    assert code == 1 and "not an image" in errors


def test_one_image_is_refused(lsm: Lsm, pair: Pair) -> None:
    code, _, errors = lsm("reconstruct", pair[0], "-b", "wall")
    assert code == 1 and "two images" in errors


def test_missing_weights_and_unknown_backends_are_named(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    code, _, errors = lsm("reconstruct", *pair, "--weights", tmp_path / "none.safetensors", "-o", tmp_path / "o")
    assert code == 1 and "bad_weights" in errors
    code, _, errors = lsm("reconstruct", *pair, "-b", "lsm-huge")
    assert code == 1 and "lsm-tiny" in errors


def test_words_are_refused_by_a_backend_without_language(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    words = ("reconstruct", *pair, "-b", "mute-wall", "-q", "chair", "-o", tmp_path / "o")
    code, _, errors = lsm(*words)
    assert code == 1 and "unsupported" in errors and not (tmp_path / "o").exists()


@pytest.mark.parametrize("camera", ["1,2,3", "a,b,c,d", "-5,5,1,1", "nan,1,1,1"])
def test_malformed_intrinsics_are_refused(lsm: Lsm, pair: Pair, camera: str) -> None:
    code, _, errors = lsm("reconstruct", *pair, "-b", "wall", f"--intrinsics={camera}")
    assert code == 1 and "--intrinsics" in errors


@pytest.mark.shared
@pytest.mark.parametrize("scene", ["scene1", "scene2"])
def test_real_pairs_are_reconstructed(lsm: Lsm, shared_dir: Path, tmp_path: Path, scene: str) -> None:
    images = sorted((shared_dir / "data" / "lsm_demo_pairs" / "indoor" / scene).iterdir())
    code, text, errors = lsm("reconstruct", *images, "-o", tmp_path / "o", "-q", "chair", "-q", "sofa", "--json")
    assert code == 0, errors
    record = json.loads(text)
    assert record["points"] > 10_000 and record["gaussians"] > 10_000 and record["validity"] > 0.2
    T = np.array(record["views"][1]["T_cam0_cam"])
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-4)
    assert np.linalg.norm(T[:3, 3]) > 0
    cloud = read_point_cloud(tmp_path / "o" / "points.ply")
    assert (cloud.points[:, 2] > 0).mean() > 0.95  # nearly all in front of the first camera
    assert cloud.rgb.std() > 20


def test_poses_can_be_made_to_fit_the_gaussians(lsm: Lsm, pair: Pair, tmp_path: Path) -> None:
    folder = tmp_path / "o"
    code, text, _ = lsm("reconstruct", *pair, "-o", folder, "-b", "wall", "--refine-pose", "gauss-newton")
    assert code == 0 and "Pose 1 refined (gauss-newton)" in text
    record = json.loads((folder / "poses.json").read_text())
    (found,) = record["pose_refinement"]
    assert found["psnr_after"] >= found["psnr_before"] and found["lpips"] is False
    assert read_image(folder / "pose_refinement.png").shape[1] == 1600
    code, _, errors = lsm("reconstruct", *pair, "-o", folder, "-b", "wall", "--refine-pose", "magic")
    assert code == 1 and "Use adam or gauss-newton" in errors
