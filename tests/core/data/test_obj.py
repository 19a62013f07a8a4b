"""The OBJ reader on small files written here."""

from __future__ import annotations

import numpy as np
import pytest

from lsm_core.data.obj import load_obj, parse_mtl, parse_obj, repair_normals
from lsm_core.errors import FileFormatError

QUAD = """mtllib thing.mtl
v 0 0 0
v 2 0 0
v 2 1 0
v 0 1 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
vn 0 0 0
usemtl red
f 1/1/1 2/2/1 3/3/1 4/4/1
usemtl wood
f -4/-4 -3/-3 -2/-2
"""
MTL = b"""newmtl red
Kd 0.9 0.1 0.1
newmtl wood
Kd 1 1 1
d 0.5
map_Kd C:\\textures\\oak board.jpg
"""


def test_a_quad_becomes_a_fan_of_two_triangles_with_its_material() -> None:
    mesh = load_obj("a/thing.obj", {"a/thing.obj": QUAD.encode(), "a/thing.mtl": MTL}.get)
    assert mesh.positions.shape == (3, 3, 3)
    assert [mesh.materials[m].name for m in mesh.material] == ["red", "red", "wood"]
    np.testing.assert_allclose(mesh.positions[1], [[0, 0, 0], [2, 1, 0], [0, 1, 0]])
    np.testing.assert_allclose(mesh.uvs[1], [[0, 0], [1, 1], [0, 1]])


def test_negative_indices_count_from_the_end() -> None:
    mesh = load_obj("a/thing.obj", {"a/thing.obj": QUAD.encode()}.get)
    np.testing.assert_allclose(mesh.positions[2], [[0, 0, 0], [2, 0, 0], [2, 1, 0]])


def test_zero_and_missing_normals_become_the_face_normal() -> None:
    mesh = load_obj("a/thing.obj", {"a/thing.obj": QUAD.encode()}.get)
    np.testing.assert_allclose(mesh.normals, np.broadcast_to([0, 0, 1], (3, 3, 3)), atol=1e-6)


def test_degenerate_triangles_get_finite_unit_normals() -> None:
    normals = repair_normals(np.zeros((1, 3, 3), np.float32), np.full((1, 3, 3), np.nan, np.float32))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1.0)


def test_texture_paths_of_other_machines_are_reduced_to_the_file_in_the_pack() -> None:
    materials = parse_mtl(MTL.decode(), "a")
    assert materials["wood"].texture == "a/oak board.jpg"
    assert materials["wood"].opacity == 0.5
    assert materials["red"].diffuse == (0.9, 0.1, 0.1)


@pytest.mark.parametrize("text", ["v 0 0 0\n", "v 0 0 0\nf 1 2 3\n"])
def test_files_without_usable_faces_are_refused(text: str) -> None:
    with pytest.raises(FileFormatError):
        parse_obj(text, {})
