"""`lsm export` on Gaussians of a wall."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from lsm_runner import Lsm
from wall_backend import WallBackend

from lsm_core.io import read_gaussians, read_point_cloud, write_gaussians
from lsm_core.io.splat import read_splat


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A wall 2 units away, as a file."""
    images = [np.full((60, 80, 3), 100, np.uint8)] * 2
    gaussians = WallBackend(torch.device("cpu")).predict(images).gaussians
    write_gaussians(tmp_path / "gaussians.ply", gaussians)
    return tmp_path / "gaussians.ply"


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
