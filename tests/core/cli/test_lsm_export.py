"""`lsm export`: every format by its ending, sources of every format, errors that name the fix."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lsm_runner import Lsm
from wall_backend import WallBackend

from lsm_core.cli.pair_files import write_pair
from lsm_core.io import read_gaussians, read_point_cloud, read_scene, read_tum, write_gaussians
from lsm_core.types import Gaussians
from lsm_core.views import open_scene


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A wall 2 units away, as a file, and the poses.json beside it."""
    images = [np.full((60, 80, 3), 100, np.uint8)] * 2
    write_pair(tmp_path, WallBackend(torch.device("cpu")).predict(images), ["a.png", "b.png"])
    return tmp_path / "gaussians.ply"


def close(a: Gaussians, b: Gaussians, step: float) -> None:
    torch.testing.assert_close(a.means, b.means, atol=step, rtol=0)
    torch.testing.assert_close(a.rgb, b.rgb, atol=0.005, rtol=0)


@pytest.mark.parametrize("ending", [".spz", ".glb", ".npz", ".ply", ".splat"])
def test_the_ending_chooses_the_format_both_ways(lsm: Lsm, scene: Path, tmp_path: Path, ending: str) -> None:
    code, text, errors = lsm("export", scene, tmp_path / f"first{ending}", "--json")
    assert code == 0, errors
    told = json.loads(text)
    assert told["bytes"] == (tmp_path / f"first{ending}").stat().st_size and told["gaussians"] > 0
    assert lsm("export", tmp_path / f"first{ending}", tmp_path / "back.npz")[0] == 0
    original, back = read_gaussians(scene), read_scene(tmp_path / "back.npz")
    assert len(back) == len(original)
    if ending != ".splat":  # which reorders
        close(back, original, 2e-4)


def test_points_keep_place_and_colour(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    assert lsm("export", scene, tmp_path / "p.ply", "--format", "points")[0] == 0
    original = read_gaussians(scene)
    cloud = read_point_cloud(tmp_path / "p.ply")
    np.testing.assert_allclose(cloud.points, original.means.numpy())
    np.testing.assert_allclose(cloud.rgb, 255 * original.rgb.numpy(), atol=0.51)


def test_a_page_is_written_beside_or_instead_of_another_file(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    code, text, _ = lsm("export", scene, tmp_path / "s.spz", "--html", tmp_path / "s.html", "--title", "Kitchen")
    assert code == 0 and "s.spz" in text and "s.html" in text
    page = (tmp_path / "s.html").read_text(encoding="utf-8")
    assert "<title>Kitchen</title>" in page
    assert lsm("export", scene, "--html", tmp_path / "only.html")[0] == 0
    assert lsm("export", scene, tmp_path / "by_ending.html", "--title", "gaussians")[0] == 0
    assert (tmp_path / "only.html").read_bytes() == (tmp_path / "by_ending.html").read_bytes()


def test_rescaling_moves_means_and_scales_together(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    assert lsm("export", scene, tmp_path / "m.ply", "--scale", "2.5")[0] == 0
    before, after = read_gaussians(scene), read_gaussians(tmp_path / "m.ply")
    torch.testing.assert_close(after.means, 2.5 * before.means, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.scales, 2.5 * before.scales, atol=1e-5, rtol=1e-5)


def test_faint_gaussians_and_features_are_left_out_when_asked(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    before = read_gaussians(scene)
    before.opacities[::2] = 0.1
    write_gaussians(scene, before)
    assert lsm("export", scene, tmp_path / "m.ply", "--min-opacity", "0.2", "--no-features")[0] == 0
    after = read_gaussians(tmp_path / "m.ply")
    assert len(after) == int((before.opacities >= 0.2).sum()) < len(before) and after.features is None


def test_the_cameras_of_a_scene_become_a_trajectory(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    assert lsm("export", scene.parent, tmp_path / "c.tum", "--scale", "3")[0] == 0
    views = json.loads(scene.with_name("poses.json").read_text())["views"]
    track = read_tum(tmp_path / "c.tum")
    assert track.stamps_ns.tolist() == [0, 10**9]
    np.testing.assert_allclose(track.poses[1][:3, 3], 3 * np.array(views[1]["T_cam0_cam"])[:3, 3], atol=1e-6)
    lone = scene.rename(scene.with_name("lone.ply"))
    code, _, errors = lsm("export", lone, tmp_path / "d.tum")
    assert code == 1 and "no cameras" in errors and not (tmp_path / "d.tum").exists()


def test_a_page_starts_at_the_first_camera_or_at_a_lens_of_choice(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    def settings(*words: str) -> dict[str, Any]:
        assert lsm("export", scene, "--html", tmp_path / "s.html", *words)[0] == 0
        found = re.search(r'id="settings">(.*?)</script>', (tmp_path / "s.html").read_text(encoding="utf-8"))
        assert found
        return dict(json.loads(found[1]))

    camera = open_scene(scene).cameras[0]
    fov_y = 2 * np.rad2deg(np.arctan(camera.height / 2 / float(camera.K[0, 0])))
    assert settings()["fov_y_deg"] == pytest.approx(fov_y, rel=1e-5)
    assert settings()["target"] == pytest.approx([0, 0, -2], abs=0.05)  # the wall, z backward
    chosen = settings("--fov", "90")["fov_y_deg"]
    assert chosen == pytest.approx(2 * np.rad2deg(np.arctan(480 / 640)))


def test_a_mesh_without_open3d_names_the_package(
    lsm: Lsm, scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    code, _, errors = lsm("export", scene, tmp_path / "m.ply", "--format", "mesh")
    assert code == 1 and "pip install open3d-cpu" in errors and not (tmp_path / "m.ply").exists()


def test_unknown_endings_foreign_files_and_nothing_to_do_are_refused(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    code, _, errors = lsm("export", scene, tmp_path / "x.obj")
    assert code == 1 and ".splat" in errors and "mesh" in errors
    code, _, errors = lsm("export", scene)
    assert code == 1 and "--html" in errors
    (tmp_path / "cloud.xyz").write_text("0 0 0")
    code, _, errors = lsm("export", tmp_path / "cloud.xyz", tmp_path / "x.npz")
    assert code == 1 and ".spz" in errors
    (tmp_path / "t.ply").write_text("hello")
    code, _, errors = lsm("export", tmp_path / "t.ply", tmp_path / "x.npz")
    assert code == 1 and "bad_file" in errors and not (tmp_path / "x.npz").exists()
    code, _, errors = lsm("export", scene, tmp_path / "x.npz", "--scale", "0")
    assert code == 1 and "--scale" in errors
