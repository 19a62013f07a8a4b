"""PLY files: vertices with scalar properties, and triangles.

Written from the public description of the format (Turk 1994).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lsm_core.errors import FileFormatError
from lsm_core.io.atomic import atomic_path
from lsm_core.io.file_bytes import file_bytes

_TYPES = {"float": "<f4", "double": "<f8", "uchar": "u1", "char": "i1", "ushort": "<u2", "short": "<i2"}
_TYPES |= {"uint": "<u4", "int": "<i4", "float32": "<f4", "float64": "<f8", "uint8": "u1", "int8": "i1"}
_TYPES |= {"uint16": "<u2", "int16": "<i2", "uint32": "<u4", "int32": "<i4"}
_NAMES = {np.dtype(code): name for name, code in reversed(_TYPES.items())}
_MAX_HEADER = 1 << 20
_MAX_DIGITS = 18  # of a count; Python takes long to read a number of a million
_TRIANGLE = np.dtype([("count", "u1"), ("corners", "<i4", 3)])


@dataclass(frozen=True)
class PlyFile:
    """What a PLY file holds.

    Attributes:
        vertices: [N] structured array of scalars.
        comments: of the header, in order.
        triangles: [M, 3] int32 indices of vertices; none where the file has no faces or other polygons.
    """

    vertices: NDArray[Any]
    comments: list[str]
    triangles: NDArray[np.int32]


@dataclass
class _Header:
    """Encoding, vertices and faces that a header announces."""

    encoding: str = ""
    count: int = -1
    layout: list[tuple[str, str]] = field(default_factory=list)
    elements: list[tuple[str, int]] = field(default_factory=list)
    face_properties: list[list[str]] = field(default_factory=list)


def write_ply(
    path: str | Path,
    vertices: NDArray[Any],
    comments: Sequence[str] = (),
    triangles: NDArray[np.int32] | None = None,
) -> None:
    """Write a structured array of scalars, and triangles [M, 3], as binary little-endian PLY, atomically."""
    header = ["ply", "format binary_little_endian 1.0"]
    header += [f"comment {' '.join(comment.split())}" for comment in comments]
    header.append(f"element vertex {len(vertices)}")
    for name in vertices.dtype.names or ():
        header.append(f"property {_NAMES[vertices.dtype[name].newbyteorder('<')]} {name}")
    if triangles is not None:
        header += [f"element face {len(triangles)}", "property list uchar int vertex_indices"]
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode())
        file.write(vertices.tobytes())
        if triangles is not None:
            faces = np.empty(len(triangles), _TRIANGLE)
            faces["count"], faces["corners"] = 3, triangles
            file.write(faces.tobytes())


def read_ply(path: str | Path) -> PlyFile:
    """Read a binary little-endian or ASCII PLY file; triangles of binary files only.

    Raises:
        FileFormatError: missing, not PLY, an unknown layout, or shorter than its header says.
    """
    file = Path(path)
    data = file_bytes(file)
    end = data.find(b"end_header", 0, _MAX_HEADER)
    newline = data.find(b"\n", end)
    if not data.startswith(b"ply") or end < 0 or newline < 0:
        raise FileFormatError(
            f"'{file}' is not a PLY file.", "Pass a file written by this program or a splat tool."
        )
    lines = [line.split() for line in data[:end].decode("latin-1").splitlines()]
    header = _parse_header(lines, file)
    dtype = np.dtype(header.layout)
    comments = [" ".join(words[1:]) for words in lines if words[:1] == ["comment"]]
    body = data[newline + 1 :]
    no_triangles = np.empty((0, 3), np.int32)
    if header.encoding == "ascii":
        return PlyFile(_read_ascii(body, header.count, dtype, file), comments, no_triangles)
    size = header.count * dtype.itemsize
    if len(body) < size:
        raise FileFormatError(f"'{file}' is cut off: {len(body)} of {size} bytes of vertices.", "Copy it again.")
    vertices = np.frombuffer(body, dtype, header.count).copy()
    return PlyFile(vertices, comments, _read_triangles(body[size:], header, file))


def _parse_header(lines: list[list[str]], file: Path) -> _Header:
    """Return what the header announces."""
    unknown = FileFormatError(f"'{file}' has a PLY layout this reader does not know.", "Save vertices only.")
    found = _Header()
    for words in lines:
        element = found.elements[-1][0] if found.elements else ""
        if words[:1] == ["format"] and len(words) == 3:
            found.encoding = words[1]
        elif words[:1] == ["element"] and len(words) == 3:
            if not words[2].isdigit() or len(words[2]) > _MAX_DIGITS or (element == "" and words[1] != "vertex"):
                raise unknown
            found.elements.append((words[1], int(words[2])))
        elif words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in _TYPES:
                raise unknown
            found.layout.append((words[2], _TYPES[words[1]]))
        elif words[:1] == ["property"] and element == "face":
            found.face_properties.append(words[1:])
    if found.encoding not in ("ascii", "binary_little_endian") or not found.elements or not found.layout:
        raise unknown
    if len({name for name, _ in found.layout}) != len(found.layout):
        raise unknown
    found.count = found.elements[0][1]
    return found


def _read_triangles(body: bytes, header: _Header, file: Path) -> NDArray[np.int32]:
    """Return [M, 3] where faces follow the vertices, all of them triangles in the usual layout."""
    none = np.empty((0, 3), np.int32)
    if len(header.elements) < 2 or header.elements[1][0] != "face" or len(header.face_properties) != 1:
        return none
    kind = header.face_properties[0]
    if (
        len(kind) != 4
        or kind[0] != "list"
        or _TYPES.get(kind[1]) != "u1"
        or _TYPES.get(kind[2]) not in ("<i4", "<u4")
    ):
        return none
    count = header.elements[1][1]
    if len(body) < count * _TRIANGLE.itemsize:
        raise FileFormatError(f"'{file}' is cut off, or has faces that are no triangles.", "Save it again.")
    faces = np.frombuffer(body, _TRIANGLE, count)
    corners: NDArray[np.int32] = faces["corners"].copy()
    if not (faces["count"] == 3).all() or (count and (corners.min() < 0 or corners.max() >= header.count)):
        raise FileFormatError(f"'{file}' has faces that are no triangles of its vertices.", "Triangulate it.")
    return corners


def _read_ascii(body: bytes, count: int, dtype: np.dtype[Any], file: Path) -> NDArray[Any]:
    """Parse `count` lines of numbers."""
    rows = body.decode("latin-1").splitlines()[:count]
    try:
        table = np.array([[float(word) for word in row.split()] for row in rows]).reshape(count, -1)
        vertices = np.empty(count, dtype)
        for i, name in enumerate(dtype.names or ()):
            vertices[name] = table[:, i]
    except (ValueError, IndexError) as error:
        raise FileFormatError(f"'{file}' has malformed or missing vertex lines.", "Save it again.") from error
    return vertices


def columns(vertices: NDArray[Any], names: Sequence[str], path: str | Path) -> NDArray[np.float32]:
    """Return [N, len(names)] float32; FileFormatError where a field is missing."""
    missing = [name for name in names if name not in (vertices.dtype.names or ())]
    if missing:
        raise FileFormatError(f"'{path}' has no field {', '.join(missing)}.", "Is it the right kind of PLY file?")
    return np.stack([vertices[name].astype(np.float32) for name in names], 1)
