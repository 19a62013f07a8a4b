"""Scenes come back from disk with their cameras, their unit and what the cameras saw."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from room import K, camera, gaussians, look

from lsm_core.cli.pair_files import write_pair
from lsm_core.errors import FileFormatError, GeometryError, UnsupportedError
from lsm_core.io import Trajectory, write_gaussians, write_png, write_tum
from lsm_core.types import Prediction
from lsm_core.views import open_scene, scene_of


def prediction() -> Prediction:
    """Return the room as a backend would, for images of 192x144 whose middle 160x120 pixels it looked at."""
    views = [camera(), camera(0.4, -4.0)]
    looks = [look(view) for view in views]
    affine = torch.tensor([[160 / 96, 0, 16 + 80 / 96 - 0.5], [0, 120 / 72, 12 + 60 / 72 - 0.5], [0, 0, 1]])
    return Prediction(
        backend="lsm-tiny",
        unit="metric",
        image_sizes=[(144, 192)] * 2,
        pointmaps=[points for points, _, _ in looks],
        confidence=[torch.ones(72, 96)] * 2,
        poses=[view.T_scene_cam for view in views],
        pose_valid=[True, True],
        validity=0.9,
        intrinsics=[K, K],
        grid_to_image=[affine, affine],
        colors=[(255 * c).to(torch.uint8).numpy() for _, c, _ in looks],
        gaussians=gaussians(views),
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    image = np.zeros((144, 192, 3), np.uint8)
    image[12:132, 16:176] = (200, 100, 50)  # what the model saw
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, image)
    write_pair(tmp_path / "out", prediction(), [str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    return tmp_path / "out"


@pytest.mark.parametrize("named", ["folder", "file"])
def test_a_reconstruction_comes_back_with_cameras_on_the_models_grid(saved: Path, named: str) -> None:
    scene = open_scene(saved if named == "folder" else saved / "gaussians.ply")
    assert scene.unit == "metric" and scene.backend == "lsm-tiny" and scene.title == "a.png + b.png"
    for found, given in zip(scene.cameras, (prediction().camera(0), prediction().camera(1)), strict=True):
        assert (found.width, found.height) == (96, 72)
        torch.testing.assert_close(found.K, given.K, atol=1e-3, rtol=0)
        torch.testing.assert_close(found.T_scene_cam, given.T_scene_cam, atol=1e-6, rtol=0)
    assert scene.images[0].shape == (288, 384, 3)
    np.testing.assert_allclose(scene.images[1][5:-5, 5:-5].reshape(-1, 3).min(0), (200, 100, 50), atol=3)


def test_images_that_were_moved_are_only_left_out(saved: Path) -> None:
    (saved.parent / "b.png").unlink()
    scene = open_scene(saved)
    assert scene.images == () and len(scene.cameras) == 2


def test_a_map_brings_its_trajectory_and_whether_it_is_metric(tmp_path: Path) -> None:
    write_gaussians(tmp_path / "gaussians.ply", gaussians([camera()]))
    poses = np.stack([camera(x).T_scene_cam.double().numpy() for x in (0.0, 0.5, 1.0)])
    write_tum(tmp_path / "trajectory.tum", Trajectory(np.array([0, 1, 2], np.int64), poses))
    lens = {"K": K.tolist(), "size": [96, 72]}
    for factor, unit, given in ((1.3, "metric", lens), (None, "relative", None)):
        summary = {"backend": "lsm-tiny", "lens": given, "segments": [{"metres_per_unit": factor}]}
        (tmp_path / "summary.json").write_text(json.dumps(summary))
        scene = open_scene(tmp_path)
        assert scene.unit == unit and scene.backend == "lsm-tiny"
        if given:
            torch.testing.assert_close(scene.cameras[1].K, K)
            assert (scene.cameras[1].width, scene.cameras[1].height) == (96, 72)
        assert [float(c.T_scene_cam[0, 3]) for c in scene.cameras] == pytest.approx([0, 0.5, 1.0])


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    write_gaussians(tmp_path / "gaussians.ply", gaussians([camera()]))
    for broken in ("{", "[]", '{"lens": {"K": 3}}', '{"segments": [7]}'):
        (tmp_path / "summary.json").write_text(broken)
        with pytest.raises(FileFormatError, match=r"summary\.json"):
            open_scene(tmp_path)


def test_files_alone_claim_no_metres(tmp_path: Path) -> None:
    scene = gaussians([camera()])
    write_gaussians(tmp_path / "x.ply", scene)
    names = ("means", "quats", "scales", "opacities", "sh", "features")
    np.savez(tmp_path / "x.npz", **{name: getattr(scene, name).numpy() for name in names})
    for name in ("x.ply", "x.npz"):
        found = open_scene(tmp_path / name)
        assert found.unit == "relative" and found.cameras == () and found.title == name
        torch.testing.assert_close(found.gaussians.means, scene.means)
        assert found.gaussians.features is not None


def test_what_is_no_scene_is_named(saved: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    (tmp_path / "text.npz").write_text("no")
    (tmp_path / "x.obj").write_text("v 0 0 0")
    for path in ("missing", "other.npz", "text.npz", "x.obj", "."):
        with pytest.raises(FileFormatError):
            open_scene(tmp_path / path)
    for broken in ("{}", "[]", "{", '{"views": [{"pose_valid": true}]}'):
        copy = tmp_path / "copy"
        shutil.copytree(saved, copy)
        (copy / "poses.json").write_text(broken)
        with pytest.raises(FileFormatError, match=r"poses\.json"):
            open_scene(copy)
        shutil.rmtree(copy)


def test_a_prediction_without_gaussians_or_pose_is_no_scene() -> None:
    found = prediction()
    images = [np.zeros((144, 192, 3), np.uint8)] * 2
    assert scene_of(found, images).cameras[1].width == 96
    with pytest.raises(UnsupportedError, match="no Gaussians"):
        scene_of(replace(found, gaussians=None), images)
    with pytest.raises(GeometryError, match="No relative pose"):
        scene_of(replace(found, pose_valid=[True, False]), images)
