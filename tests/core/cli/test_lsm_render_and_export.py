"""`lsm render` and `lsm export` on Gaussians of a wall."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from lsm_runner import Lsm
from wall_backend import WallBackend

from lsm_core.cli.render import look_at, orbit_eyes
from lsm_core.io import read_gaussians, read_image, read_point_cloud, write_gaussians
from lsm_core.io.splat import read_splat


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A wall 2 units away, as a file."""
    images = [np.full((60, 80, 3), 100, np.uint8)] * 2
    gaussians = WallBackend(torch.device("cpu")).predict(images).gaussians
    write_gaussians(tmp_path / "gaussians.ply", gaussians)
    return tmp_path / "gaussians.ply"


def test_the_wall_fills_the_picture(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    code, text, _ = lsm(
        "render", scene, "-o", tmp_path / "r.png", "--size", "64x48", "--fov", "40", "--depth", "--json"
    )
    assert code == 0 and json.loads(text)["covered"] > 0.95
    picture = read_image(tmp_path / "r.png")
    assert picture.shape == (48, 64, 3)
    np.testing.assert_allclose(picture[24, 32], 255 * 0.7, atol=6)
    assert (tmp_path / "r_depth.png").is_file()


def test_looking_away_says_so(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    code, _, errors = lsm("render", scene, "-o", tmp_path / "r.png", "--size", "64x48", "--look-at", "0,0,-1")
    assert code == 0 and "in view" in errors


def test_orbit_writes_frames(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    code, _, _ = lsm("render", scene, "-o", tmp_path / "swing", "--size", "32x32", "--orbit", "4")
    assert code == 0 and len(list((tmp_path / "swing").glob("frame_*.png"))) == 4


def test_look_at_puts_the_target_on_the_axis_and_y_down() -> None:
    T = look_at([1.0, -2.0, 0.5], [1.0, 0.0, 4.0])
    target = torch.linalg.inv(T) @ torch.tensor([1.0, 0.0, 4.0, 1.0])
    torch.testing.assert_close(target[:2], torch.zeros(2), atol=1e-6, rtol=0)
    assert target[2] > 0 and T[1, 1] > 0 and torch.linalg.det(T[:3, :3]) == pytest.approx(1, abs=1e-5)


def test_an_orbit_keeps_its_distance() -> None:
    for eye in orbit_eyes([0.0, 0.3, 0.0], [0.0, 0.0, 2.0], 7):
        assert np.linalg.norm(np.array(eye) - [0, 0, 2]) == pytest.approx(np.hypot(2, 0.3))


@pytest.mark.parametrize("words", [("--size", "64"), ("--eye", "1,2"), ("--fov", "500"), ("--look-at", "0,0,0")])
def test_malformed_options_are_refused(lsm: Lsm, scene: Path, tmp_path: Path, words: tuple[str, str]) -> None:
    code, _, errors = lsm("render", scene, "-o", tmp_path / "r.png", *words)
    assert code == 1 and "bad_input" in errors and not (tmp_path / "r.png").exists()


def test_export_to_points_splat_and_npz(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    original = read_gaussians(scene)
    assert lsm("export", scene, tmp_path / "p.ply", "--format", "points")[0] == 0
    np.testing.assert_allclose(read_point_cloud(tmp_path / "p.ply").points, original.means.numpy())
    assert lsm("export", scene, tmp_path / "s.splat")[0] == 0
    splat = read_splat(tmp_path / "s.splat")
    assert len(splat) == len(original)
    np.testing.assert_allclose(splat.rgb.numpy(), original.rgb.numpy(), atol=1 / 255)
    assert lsm("export", scene, tmp_path / "g.npz")[0] == 0
    with np.load(tmp_path / "g.npz") as arrays:
        np.testing.assert_allclose(arrays["scales"], original.scales.numpy())


def test_export_rescales_means_and_scales_together(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    assert lsm("export", scene, tmp_path / "m.ply", "--scale", "2.5")[0] == 0
    before, after = read_gaussians(scene), read_gaussians(tmp_path / "m.ply")
    torch.testing.assert_close(after.means, 2.5 * before.means, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(after.scales, 2.5 * before.scales, atol=1e-5, rtol=1e-5)


def test_export_refuses_unknown_endings_and_foreign_files(lsm: Lsm, scene: Path, tmp_path: Path) -> None:
    code, _, errors = lsm("export", scene, tmp_path / "x.obj")
    assert code == 1 and ".splat" in errors
    (tmp_path / "t.ply").write_text("hello")
    code, _, errors = lsm("export", tmp_path / "t.ply", tmp_path / "x.npz")
    assert code == 1 and "bad_file" in errors and not (tmp_path / "x.npz").exists()
