"""Triangle meshes as PLY files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lsm_core.errors import FileFormatError
from lsm_core.geometry.tsdf import TriangleMesh
from lsm_core.io.ply import columns, read_ply, write_ply

_LAYOUT = [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]


def write_mesh(path: str | Path, mesh: TriangleMesh) -> None:
    """Write a mesh as binary PLY: x y z red green blue, and triangles."""
    vertices = np.empty(len(mesh.vertices), dtype=_LAYOUT)
    for i, axis in enumerate("xyz"):
        vertices[axis] = mesh.vertices[:, i]
    for i, channel in enumerate(("red", "green", "blue")):
        vertices[channel] = mesh.rgb[:, i]
    write_ply(path, vertices, triangles=mesh.triangles)


def read_mesh(path: str | Path) -> TriangleMesh:
    """Read what `write_mesh` wrote.

    Raises:
        FileFormatError: missing, not PLY, damaged, or without triangles.
    """
    file = read_ply(path)
    if not len(file.triangles):
        raise FileFormatError(f"'{path}' has no triangles.", "Is it a point cloud?")
    rgb = columns(file.vertices, ("red", "green", "blue"), path).astype(np.uint8)
    return TriangleMesh(columns(file.vertices, ("x", "y", "z"), path), rgb, file.triangles)
