"""Backend splatt3r on a checkpoint that knows two images: metres, poses and Gaussians are right."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from fitted_checkpoints import SIZE
from fitted_splatt3r import write_fitted_splatt3r
from known_pair import HEIGHT, T_CAM0_CAM1, K, known_pair

from lsm_core import load_backend
from lsm_core.backends import splatt3r
from lsm_core.backends.splatt3r import Splatt3rOptions
from lsm_core.cli.main import main
from lsm_core.io import read_gaussians, write_png
from lsm_core.render import render
from lsm_core.types import Camera, Prediction

VIEWS = known_pair()
PIXEL_M = 2.0 / (K[0, 0] * SIZE / HEIGHT)  # what a pixel of the grid spans at 2 m


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("known") / "fitted.ckpt"
    write_fitted_splatt3r(path, VIEWS, 0.6 * PIXEL_M)
    return path


@pytest.fixture(scope="module")
def found(weights: Path) -> Prediction:
    backend = load_backend("splatt3r", "cpu", weights, options=Splatt3rOptions(SIZE))
    return backend.predict([view.rgb for view in VIEWS], [K, K])


def test_depth_is_in_metres_and_the_pose_is_found(found: Prediction) -> None:
    assert found.unit == "metric" and found.pose_valid == [True, True] and found.validity > 0.9
    np.testing.assert_allclose(found.poses[1].numpy()[:3, :3], T_CAM0_CAM1[:3, :3], atol=0.01)
    np.testing.assert_allclose(found.poses[1].numpy()[:3, 3], T_CAM0_CAM1[:3, 3], atol=0.03)
    at = found.grid_to_image[0] @ torch.tensor([128.0, 128.0, 1.0])
    true = VIEWS[0].depth[round(float(at[1])), round(float(at[0]))]
    assert float(found.pointmaps[0][128, 128, 2]) == pytest.approx(float(true), abs=0.05)


@pytest.mark.parametrize("view", [0, 1])
def test_the_gaussians_of_a_view_show_its_image_from_its_pose(found: Prediction, view: int) -> None:
    assert found.gaussians is not None
    own = found.gaussians.select(torch.arange(view * SIZE**2, (view + 1) * SIZE**2))
    camera = Camera(found.intrinsics[view], SIZE, SIZE, found.poses[view])
    drawn = render(own, camera).rgb
    true = torch.as_tensor(found.colors[view]) / 255
    error = (drawn - true)[32:-32, 32:-32].square().mean()
    assert float(-10 * error.log10()) > 22


@pytest.mark.slow
def test_the_program_writes_what_the_backend_finds(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splatt3r, "Splatt3rOptions", partial(Splatt3rOptions, SIZE))  # what the fit is for
    for i, view in enumerate(VIEWS):
        write_png(tmp_path / f"{i}.png", view.rgb)
    out = tmp_path / "out"
    camera = ",".join(str(v) for v in (K[0, 0], K[1, 1], K[0, 2], K[1, 2]))
    command = ["reconstruct", str(tmp_path / "0.png"), str(tmp_path / "1.png"), "-b", "splatt3r"]
    assert main([*command, "--weights", str(weights), "--intrinsics", camera, "-o", str(out)]) == 0
    record = json.loads((out / "poses.json").read_text())
    assert record["unit"] == "metre"
    scene = read_gaussians(out / "gaussians.ply")
    assert len(scene) > 100_000
