"""PLY: what is written is read back, and damaged files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lsm_core.errors import FileFormatError
from lsm_core.io import PointCloud, read_gaussians, read_point_cloud, write_gaussians, write_point_cloud
from lsm_core.io.ply import read_ply
from lsm_core.types import Gaussians

same_folder = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
floats = st.floats(-1e6, 1e6, width=32)


@given(st.data(), st.integers(0, 30), st.booleans(), st.booleans())
@same_folder
def test_point_clouds_round_trip(
    tmp_path: Path, data: st.DataObject, n: int, with_confidence: bool, with_label: bool
) -> None:
    cloud = PointCloud(
        data.draw(hnp.arrays(np.float32, (n, 3), elements=floats)),
        data.draw(hnp.arrays(np.uint8, (n, 3))),
        data.draw(hnp.arrays(np.float32, (n,), elements=floats)) if with_confidence else None,
        data.draw(hnp.arrays(np.int32, (n,))) if with_label else None,
        ("coffee machine", "chair"),
    )
    path = tmp_path / "cloud.ply"
    write_point_cloud(path, cloud)
    back = read_point_cloud(path)
    np.testing.assert_array_equal(back.points, cloud.points)
    np.testing.assert_array_equal(back.rgb, cloud.rgb)
    assert back.names == cloud.names
    for got, want in ((back.confidence, cloud.confidence), (back.label, cloud.label)):
        assert (got is None) == (want is None)
        if got is not None and want is not None:
            np.testing.assert_array_equal(got, want)


@given(st.integers(0, 20), st.integers(0, 3), st.sampled_from([0, 1, 7]), st.integers(0, 1000))
@same_folder
def test_gaussians_round_trip(tmp_path: Path, n: int, degree: int, dim: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    scene = Gaussians(
        torch.randn(n, 3, generator=g),
        torch.nn.functional.normalize(torch.randn(n, 4, generator=g), dim=-1),
        torch.rand(n, 3, generator=g) + 1e-3,
        torch.rand(n, generator=g) * 0.98 + 0.01,
        torch.randn(n, (degree + 1) ** 2, 3, generator=g),
        torch.randn(n, dim, generator=g) if dim else None,
    )
    path = tmp_path / "gaussians.ply"
    write_gaussians(path, scene)
    back = read_gaussians(path)
    for name in ("means", "quats", "scales", "opacities", "sh"):
        torch.testing.assert_close(getattr(back, name), getattr(scene, name), atol=1e-5, rtol=1e-5)
    if dim:
        torch.testing.assert_close(back.features, scene.features)
    else:
        assert back.features is None


def test_gaussian_files_have_the_standard_fields_and_encodings(tmp_path: Path) -> None:
    sh = torch.arange(12, dtype=torch.float32).reshape(1, 4, 3)
    scene = Gaussians(
        torch.tensor([[1.0, 2.0, 3.0]]),
        torch.tensor([[0.5, -0.5, 0.5, 0.5]]),
        torch.tensor([[0.1, 0.2, 0.3]]),
        torch.tensor([0.75]),
        sh,
    )
    write_gaussians(tmp_path / "g.ply", scene)
    vertices = read_ply(tmp_path / "g.ply").vertices
    rest = tuple(f"f_rest_{i}" for i in range(9))
    expected = ("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", *rest, "opacity")
    expected += ("scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3")
    assert vertices.dtype.names == expected
    row = vertices[0]
    assert [row[f"f_rest_{i}"] for i in range(9)] == [3, 6, 9, 4, 7, 10, 5, 8, 11]  # all red, all green, all blue
    assert row["opacity"] == pytest.approx(np.log(3), abs=1e-6)
    assert row["scale_1"] == pytest.approx(np.log(0.2), abs=1e-6)
    assert [row[f"rot_{i}"] for i in range(4)] == [0.5, -0.5, 0.5, 0.5]


def test_ascii_files_and_further_elements_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    path.write_text(
        "ply\nformat ascii 1.0\ncomment by hand\nelement vertex 2\nproperty float x\nproperty float y\n"
        "property float z\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "0 1 2\n3 4 5.5\n3 0 1 1\n"
    )
    np.testing.assert_allclose(read_point_cloud(path).points, [[0, 1, 2], [3, 4, 5.5]])


@pytest.mark.parametrize("keep", [0, 3, 40, -1, -20])
def test_cut_files_are_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "c.ply"
    write_point_cloud(path, PointCloud(np.ones((9, 3), np.float32), np.ones((9, 3), np.uint8)))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(FileFormatError):
        read_point_cloud(path)


def test_a_point_cloud_is_no_gaussian_file(tmp_path: Path) -> None:
    path = tmp_path / "c.ply"
    write_point_cloud(path, PointCloud(np.ones((9, 3), np.float32), np.ones((9, 3), np.uint8)))
    with pytest.raises(FileFormatError, match="f_dc_0"):
        read_gaussians(path)
