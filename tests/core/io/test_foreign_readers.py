"""Our files as other people's Python packages read them (JavaScript viewers: test_node_readers.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from random_scene import random_scene, turn_apart_deg

from lsm_core.geometry.tsdf import TriangleMesh
from lsm_core.io import PointCloud, read_spz, write_gaussians, write_gltf, write_mesh, write_point_cloud, write_spz
from lsm_core.io.y_up import turn_half_around_x
from lsm_core.types import Gaussians


def stored_scene(
    means: NDArray[Any],
    log_scales: NDArray[Any],
    quats: NDArray[Any],
    logits: NDArray[Any],
    dc: NDArray[Any],
    rest: NDArray[Any],
) -> Gaussians:
    """Return Gaussians of the numbers as PLY and SPZ readers hand them out; rest is [N, K-1, 3]."""
    n = len(means)
    sh = np.concatenate([np.reshape(dc, (n, 1, 3)), np.reshape(rest, (n, -1, 3))], 1)
    arrays = [means, quats, np.exp(log_scales), 1 / (1 + np.exp(-np.reshape(logits, n).astype(float))), sh]
    return Gaussians(*(torch.from_numpy(np.array(array, np.float32)) for array in arrays))


def check(found: Gaussians, scene: Gaussians, steps: dict[str, float]) -> None:
    assert float((found.means - scene.means).abs().max()) <= steps["means"]
    assert float(turn_apart_deg(found.quats, scene.quats).max()) <= steps["turn"]
    assert float((found.scales.log() - scene.scales.log()).abs().max()) <= steps["scales"]
    assert float((found.opacities - scene.opacities).abs().max()) <= steps["opacities"]
    assert float((found.sh[:, :1] - scene.sh[:, :1]).abs().max()) <= steps["dc"]
    if scene.degree:
        assert float((found.sh[:, 1:] - scene.sh[:, 1:]).abs().max()) <= steps["rest"]


EXACT = {"means": 0.0, "turn": 1e-4, "scales": 1e-5, "opacities": 1e-5, "dc": 1e-6, "rest": 1e-6}
SPZ = {"means": 2.0**-12, "turn": 0.25, "scales": 0.0313, "opacities": 0.002, "dc": 0.0132, "rest": 0.004}


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("form", ["ply", "spz"])
def test_gsply_reads_our_ply_and_spz(tmp_path: Path, form: str, degree: int) -> None:
    gsply = pytest.importorskip("gsply")
    scene = random_scene(200, degree)
    path = tmp_path / f"s.{form}"
    (write_gaussians if form == "ply" else write_spz)(path, scene)
    read = (gsply.plyread if form == "ply" else gsply.read_spz)(str(path))
    rest = np.empty((200, 0, 3)) if read.shN is None else read.shN
    found = stored_scene(read.means, read.scales, read.quats, read.opacities, read.sh0, rest)
    if form == "spz":
        found = turn_half_around_x(found)  # it hands out the file's own frame
    check(found, scene, EXACT if form == "ply" else SPZ)


@pytest.mark.parametrize("degree", [1, 2, 3])  # its Python binding fails without higher SH
@pytest.mark.parametrize("form", ["ply", "spz"])
def test_gaussforge_reads_our_ply_and_spz(tmp_path: Path, form: str, degree: int) -> None:
    """GaussForge carries Niantic's own SPZ code."""
    gaussforge = pytest.importorskip("gaussforge")
    scene = random_scene(200, degree)
    (write_gaussians if form == "ply" else write_spz)(tmp_path / "s", scene)
    read = gaussforge.GaussForge().read((tmp_path / "s").read_bytes(), form)
    assert "error" not in read, read
    data = read["data"]
    names = ("positions", "scales", "rotations", "alphas", "colors", "sh")
    assert data["numPoints"] == 200
    flat = [np.frombuffer(data[name], np.float32) for name in names]
    means, scales, quats, logits, dc, rest = (values.reshape(200, len(values) // 200) for values in flat)
    found = stored_scene(means, scales, quats, logits, dc, rest)
    if form == "spz":
        found = turn_half_around_x(found)  # it hands out the file's own frame
    check(found, scene, EXACT if form == "ply" else SPZ)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_we_read_the_spz_of_others(tmp_path: Path, version: int) -> None:
    gaussforge = pytest.importorskip("gaussforge")
    scene = random_scene(200, 2)
    write_spz(tmp_path / "ours.spz", scene)
    forge = gaussforge.GaussForge()
    data = forge.convert((tmp_path / "ours.spz").read_bytes(), "spz", "spz", spz_version=version)["data"]
    (tmp_path / "theirs.spz").write_bytes(data)
    found = read_spz(tmp_path / "theirs.spz")
    # Their writer keeps 5 bits of SH of degree 1 and 4 of higher ones; version 2 leaves w to the root.
    check(found, scene, SPZ | {"rest": 0.07, "turn": 0.25 if version > 2 else 12.0})


def test_semantic_fields_do_not_disturb_other_readers(tmp_path: Path) -> None:
    gaussforge = pytest.importorskip("gaussforge")
    scene = random_scene(50, 1, features=64)
    write_gaussians(tmp_path / "s.ply", scene)
    data = gaussforge.GaussForge().read((tmp_path / "s.ply").read_bytes(), "ply")["data"]
    np.testing.assert_array_equal(np.frombuffer(data["positions"], np.float32).reshape(50, 3), scene.means.numpy())
    alphas = torch.from_numpy(np.frombuffer(data["alphas"], np.float32).copy())
    torch.testing.assert_close(torch.sigmoid(alphas), scene.opacities, atol=1e-6, rtol=0)


def test_trimesh_shows_our_glb_as_coloured_points(tmp_path: Path) -> None:
    """What a viewer without the extension is meant to see."""
    trimesh = pytest.importorskip("trimesh")
    scene = random_scene(80, 2)
    write_gltf(tmp_path / "s.glb", scene)
    (cloud,) = trimesh.load_scene(tmp_path / "s.glb").geometry.values()
    flip = np.array([1, -1, -1])
    np.testing.assert_allclose(cloud.vertices, scene.means.numpy() * flip, atol=1e-6)
    srgb = scene.rgb.numpy()
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    np.testing.assert_allclose(cloud.colors[:, :3], 255 * linear, atol=1.01)
    np.testing.assert_allclose(cloud.colors[:, 3], 255 * scene.opacities.numpy(), atol=1.01)


def test_trimesh_reads_our_clouds_and_meshes(tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    rng = np.random.default_rng(0)
    points = rng.random((40, 3), np.float32)
    rgb = rng.integers(0, 255, (40, 3), np.uint8)
    write_point_cloud(tmp_path / "c.ply", PointCloud(points, rgb, rng.random(40, np.float32)))
    cloud = trimesh.load(tmp_path / "c.ply")
    np.testing.assert_array_equal(cloud.vertices, points)
    np.testing.assert_array_equal(cloud.colors[:, :3], rgb)
    triangles = rng.permutation(39).reshape(13, 3).astype(np.int32)
    write_mesh(tmp_path / "m.ply", TriangleMesh(points, rgb, triangles))
    mesh = trimesh.load(tmp_path / "m.ply", process=False)
    np.testing.assert_array_equal(mesh.faces, triangles)
    np.testing.assert_array_equal(mesh.vertices, points)
    np.testing.assert_array_equal(mesh.visual.vertex_colors[:, :3], rgb)
