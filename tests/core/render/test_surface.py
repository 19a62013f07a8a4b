"""A mesh of Gaussians: a wall becomes a plane of its colour, cameras that see nothing are an error."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lsm_core.errors import DependencyError, GeometryError, InputError
from lsm_core.geometry.tsdf import DepthView, TriangleMesh, fuse_depth
from lsm_core.io import read_mesh, write_mesh
from lsm_core.render.surface import mesh_from_gaussians
from lsm_core.sh import C0
from lsm_core.types import Gaussians
from lsm_core.views.lens import look_at, pinhole

DEPTH, COLOUR = 2.0, (0.8, 0.4, 0.2)


def wall() -> Gaussians:
    """Return a dense, opaque plane at z = 2, two units wide and high."""
    x, y = torch.meshgrid(torch.linspace(-1, 1, 81), torch.linspace(-1, 1, 81), indexing="xy")
    n = x.numel()
    means = torch.stack([x.flatten(), y.flatten(), torch.full((n,), DEPTH)], 1)
    colour = (torch.tensor(COLOUR) - 0.5) / C0
    scales = torch.tensor([0.02, 0.02, 0.002]).expand(n, 3)
    quats = torch.tensor([1.0, 0, 0, 0]).expand(n, 4)
    return Gaussians(means, quats, scales, torch.full((n,), 0.95), colour.expand(n, 1, 3))


def test_a_wall_becomes_a_plane_of_its_colour(tmp_path: Path) -> None:
    pytest.importorskip("open3d", reason="Open3D is not installed (pip install 'lsm_core[mesh]')")
    eyes = [[-0.3, 0.0, 0.0], [0.3, 0.1, 0.0]]
    cameras = [pinhole(160, 120, 45.0, look_at(eye, [0.0, 0.0, DEPTH])) for eye in eyes]
    mesh = mesh_from_gaussians(wall(), cameras)
    assert len(mesh.triangles) > 500
    inner = np.abs(mesh.vertices[:, :2]).max(1) < 0.5
    np.testing.assert_allclose(mesh.vertices[inner, 2], DEPTH, atol=0.02)
    np.testing.assert_allclose(np.median(mesh.rgb[inner], 0), 255 * np.array(COLOUR), atol=6)
    corners = mesh.vertices[mesh.triangles]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert 1.5 < area < 4.5  # of the 4 square units, what the cameras see
    write_mesh(tmp_path / "wall.ply", mesh)
    back = read_mesh(tmp_path / "wall.ply")
    np.testing.assert_array_equal(back.vertices, mesh.vertices)
    np.testing.assert_array_equal(back.triangles, mesh.triangles)
    np.testing.assert_array_equal(back.rgb, mesh.rgb)


def test_fused_depth_lies_where_the_cameras_put_it() -> None:
    pytest.importorskip("open3d", reason="Open3D is not installed (pip install 'lsm_core[mesh]')")
    T = np.eye(4)
    T[:3, 3] = [5.0, 0.0, 1.0]
    K = np.array([[100.0, 0, 31.5], [0, 100, 23.5], [0, 0, 1]])
    view = DepthView(np.full((48, 64), 3.0, np.float32), np.full((48, 64, 3), 90, np.uint8), K, T)
    mesh = fuse_depth([view], 0.05)
    np.testing.assert_allclose(mesh.vertices[:, 2], 4.0, atol=0.03)
    np.testing.assert_allclose(mesh.vertices[:, 0].mean(), 5.0, atol=0.05)


def test_without_open3d_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(DependencyError, match="pip install open3d-cpu"):
        mesh_from_gaussians(wall(), [pinhole(64, 48, 45.0, torch.eye(4))])


def test_cameras_that_see_nothing_are_an_error() -> None:
    with pytest.raises(GeometryError, match="see no surface"):
        mesh_from_gaussians(wall(), [pinhole(64, 48, 45.0, look_at([0, 0, 0], [0, 0, -1]))])
    with pytest.raises(InputError, match="at least one camera"):
        mesh_from_gaussians(wall(), [])


def test_voxels_that_would_fill_the_memory_are_refused() -> None:
    camera = pinhole(64, 48, 45.0, torch.eye(4))
    for voxel in (0.0, -1.0, float("nan"), 1e-7):
        with pytest.raises(InputError, match="voxel"):
            mesh_from_gaussians(wall(), [camera], voxel)


def test_a_mesh_needs_matching_arrays() -> None:
    with pytest.raises(InputError):
        TriangleMesh(np.zeros((3, 3), np.float32), np.zeros((2, 3), np.uint8), np.zeros((1, 3), np.int32))
