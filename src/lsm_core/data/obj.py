"""Wavefront OBJ / MTL reader: triangles with per-corner normals and texture coordinates."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lsm_core.errors import FileFormatError

ReadFile = Callable[[str], "bytes | None"]  # archive path -> content, None where it is missing
_TINY = 1e-8


@dataclass(frozen=True)
class Material:
    """A material of an MTL file."""

    name: str
    diffuse: tuple[float, float, float]  # sRGB-like, 0..1
    opacity: float
    texture: str | None  # path inside the archive


@dataclass(frozen=True)
class TriangleMesh:
    """Unindexed triangles in the file's own axes and unit."""

    positions: np.ndarray  # [T, 3, 3] float32
    normals: np.ndarray  # [T, 3, 3] float32, unit length
    uvs: np.ndarray  # [T, 3, 2] float32
    material: np.ndarray  # [T] int32, index into materials
    materials: tuple[Material, ...]


def parse_mtl(text: str, folder: str = "") -> dict[str, Material]:
    """Parse an MTL file; texture paths are made relative to the archive root."""
    found: dict[str, Material] = {}
    name, diffuse, opacity, texture = "", (0.7, 0.7, 0.7), 1.0, None

    def flush() -> None:
        if name:
            found[name] = Material(name, diffuse, opacity, texture)

    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        key = words[0].lower()
        if key == "newmtl":
            flush()
            name, diffuse, opacity, texture = " ".join(words[1:]), (0.7, 0.7, 0.7), 1.0, None
        elif key == "kd" and len(words) >= 4:
            diffuse = (float(words[1]), float(words[2]), float(words[3]))
        elif key == "d" and len(words) >= 2:
            opacity = float(words[-1])
        elif key == "map_kd" and len(words) >= 2:
            file_name = line.strip().split(None, 1)[1].replace("\\", "/").split("/")[-1]
            texture = posixpath.join(folder, file_name.split()[-1] if " -" in line else file_name)
    flush()
    return found


def _floats(lines: list[str], width: int) -> np.ndarray:
    """Parse the numbers after the keyword of each line into [N, width] float32."""
    if not lines:
        return np.zeros((0, width), np.float32)
    rows = [line.split()[1 : width + 1] for line in lines]
    return np.array([r + ["0"] * (width - len(r)) for r in rows], dtype=np.float32)


def _corner(word: str, counts: tuple[int, int, int]) -> tuple[int, int, int]:
    parts = ([*word.split("/"), "", ""])[:3]
    out = []
    for part, count in zip(parts, counts, strict=True):
        index = int(part) if part else 0
        out.append(index - 1 if index > 0 else (count + index if index < 0 else -1))
    return out[0], out[1], out[2]


def _face_normals(positions: np.ndarray) -> np.ndarray:
    """Return unit face normals [T, 3]; degenerate triangles get +Y."""
    normal = np.cross(positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0])
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    up = np.array([0.0, 1.0, 0.0], np.float32)
    return np.where(length > _TINY * _TINY, normal / np.maximum(length, _TINY * _TINY), up)


def repair_normals(positions: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Normalise corner normals [T, 3, 3]; zero or non-finite ones become the face normal."""
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    good = np.isfinite(length) & (length > 1e-4)
    face = _face_normals(positions)[:, None, :]
    return np.where(good, normals / np.where(good, length, 1.0), face).astype(np.float32)


def parse_obj(text: str, materials: dict[str, Material]) -> TriangleMesh:
    """Parse OBJ text; polygons become fans, negative indices count from the end of the file.

    Raises:
        FileFormatError: the file has no faces or an index is out of range.
    """
    lines = text.replace("\\\n", " ").splitlines()
    vertices = _floats([ln for ln in lines if ln.startswith("v ")], 3)
    texcoords = _floats([ln for ln in lines if ln.startswith("vt ")], 2)
    normals = _floats([ln for ln in lines if ln.startswith("vn ")], 3)
    counts = (len(vertices), len(texcoords), len(normals))
    names: list[str] = []
    index_of: dict[str, int] = {}
    corners: list[tuple[int, int, int]] = []
    owner: list[int] = []
    current = 0
    for line in lines:
        if line.startswith("usemtl"):
            name = line[6:].strip()
            current = index_of.setdefault(name, len(index_of))
            if current == len(names):
                names.append(name)
        elif line.startswith("f "):
            face = [_corner(word, counts) for word in line.split()[1:]]
            for k in range(1, len(face) - 1):
                corners += (face[0], face[k], face[k + 1])
                owner.append(current)
    if not owner:
        raise FileFormatError("The OBJ file has no faces.", "use a model with polygons.")
    index = np.array(corners, np.int64)
    if index[:, 0].min() < 0 or (index.max(axis=0) >= np.maximum(counts, 1)).any():
        raise FileFormatError("The OBJ file has a face index out of range.", "export the model again.")
    positions = vertices[index[:, 0]].reshape(-1, 3, 3)
    uv = texcoords[index[:, 1]] if counts[1] else np.zeros((len(index), 2), np.float32)
    uv = np.where(index[:, 1:2] >= 0, uv, 0.0)
    raw = normals[index[:, 2]] if counts[2] else np.zeros((len(index), 3), np.float32)
    raw = np.where(index[:, 2:3] >= 0, raw, 0.0)
    fallback = Material("", (0.7, 0.7, 0.7), 1.0, None)
    return TriangleMesh(
        positions=positions,
        normals=repair_normals(positions, raw.reshape(-1, 3, 3)),
        uvs=uv.reshape(-1, 3, 2).astype(np.float32),
        material=np.array(owner, np.int32),
        materials=tuple(materials.get(n, fallback) for n in names) or (fallback,),
    )


def load_obj(path: str, read: ReadFile) -> TriangleMesh:
    """Load an OBJ and the MTL files it names through ``read``.

    Raises:
        FileFormatError: the OBJ is missing or has no faces.
    """
    raw = read(path)
    if raw is None:
        raise FileFormatError(f"No model {path} in the pack.", "reinstall the furniture pack.")
    text = raw.decode("latin-1")
    folder = posixpath.dirname(path)
    materials: dict[str, Material] = {}
    for line in text.splitlines():
        if line.startswith("mtllib"):
            content = read(posixpath.join(folder, line[6:].strip()))
            if content is not None:
                materials.update(parse_mtl(content.decode("latin-1"), folder))
    return parse_obj(text, materials)
